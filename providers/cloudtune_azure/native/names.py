"""The names of Azure Machine Learning that its reader and its writer share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cloudtune.formats import StoppingRule, Words, parse_number
from cloudtune.provider import Json, is_map

SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
ALGORITHMS = {"random": "random", "grid": "grid", "bayesian": "bayesian"}
"""The strategy of each sampling algorithm."""
RULES: dict[str, StoppingRule] = {"bandit": "bandit", "median_stopping": "median"}
"""The rule of each early termination policy that a study has."""
WORDS = Words(
    strategies={word: {"name": name} for word, name in ALGORITHMS.items()},
    plain={"random": "uniform", "bayesian": "gp"},
    by_setting=frozenset({"sobol"}),
    rules=RULES,
    automatic="median",
)
LIMITS = ("timeout", "trial_timeout")
"""The limits in units of time."""
RUN_FIELDS = ("sampling_algorithm", "early_termination")
"""What a run takes of an imported job, next to its study and the parts of its parameters: the code
and the machine are those of the study and of the settings."""
MAX_TRIALS = 1_000
"""``max_total_trials`` where a job has none."""
AUTOML_METRICS = {
    "image_classification": "accuracy",
    "image_classification_multilabel": "iou",
    "image_object_detection": "mean_average_precision",
    "image_instance_segmentation": "mean_average_precision",
    "text_classification": "accuracy",
    "text_classification_multilabel": "accuracy",
    "text_ner": "accuracy",
}
"""The primary metric of each task of AutoML that can have a sweep, if a job has none."""
MAXIMIZED = frozenset(
    [
        *AUTOML_METRICS.values(),
        *("auc_weighted", "average_precision_score_weighted", "norm_macro_recall"),
        *("precision_score_weighted", "f1_score_micro", "f1_score_macro", "f1_score_weighted"),
    ]
)
"""The primary metrics of these tasks, all of which AutoML maximizes."""


def is_automl(document: Json) -> bool:
    """Return whether a document, or what is kept of one, is an AutoML job."""
    words = f"{document.get('type', '')} {document.get('$schema', '')}".lower()
    return "automl" in words


def sweep_steps(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the steps of a pipeline that are sweeps."""
    steps = document.get("jobs")
    if not is_map(steps) or str(document.get("type", "pipeline")).lower() != "pipeline":
        return []
    return [
        name
        for name, step in steps.items()
        if is_map(step) and str(step.get("type", "")).lower() == "sweep"
    ]


def is_rest(document: Mapping[str, Any]) -> bool:
    """Return whether a document is a sweep job as the REST API has it."""
    properties = document.get("properties")
    return is_map(properties) and properties.get("jobType") == "Sweep"


def log_base(algorithm: Any) -> float | None:
    """Return the base of which the bounds of log ranges are exponents; None if it is no base.

    That they are exponents of ``logbase`` is not verified: the reference calls it the "base for log
    based random sampling" (RandomSamplingAlgorithm of azure-ai-ml, read 2026-11-27).
    """
    word = algorithm.get("logbase") if is_map(algorithm) else None
    if word is None or word == "e":
        return math.e
    base = parse_number(word)
    return base if base is not None and base > 0 and base != 1 else None
