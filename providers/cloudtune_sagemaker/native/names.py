"""The names of SageMaker that the reader and the writer of its files share."""

from __future__ import annotations

import itertools
import json
import re

from cloudtune.formats import Words

HYPERBAND, AUTO, LINEAR, REVERSED = "Hyperband", "Auto", "Linear", "ReverseLogarithmic"
STRATEGIES = {
    "Bayesian": "bayesian",
    "Random": "random",
    "Grid": "grid",
    HYPERBAND: "hyperband",
}
SCALES = {
    AUTO: "auto",
    LINEAR: "linear",
    "Logarithmic": "log",
    REVERSED: "reverse_log",
}
GOALS = {"Maximize": "maximize", "Minimize": "minimize"}
WORDS = Words(
    strategies={word: {"name": name} for word, name in STRATEGIES.items()},
    plain={"random": "uniform"},
    goals=GOALS,
    scales=SCALES,
    automatic="median",
)
WARM_STARTS = {"IdenticalDataAndAlgorithm": "same", "TransferLearning": "transfer"}
PROGRAM = "sagemaker_program"
DIRECTORY = "sagemaker_submit_directory"
SDK_PARAMETERS = frozenset(
    [
        "sagemaker_container_log_level",
        "sagemaker_region",
        "sagemaker_job_name",
        "_tuning_objective_metric",
    ]
)
"""The hyperparameters that SageMaker and its SDK add to each job."""


def script_argument(text: str) -> str:
    """Return what a script gets for a hyperparameter, which SageMaker's toolkit decodes as JSON.

    >>> script_argument('"gloo"'), script_argument("gloo"), script_argument("true")
    ('gloo', 'gloo', 'True')
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else str(value)


def definition_name(root: str, text: str, used: set[str]) -> str:
    """Return the name of the definition for a value of the root, unlike those that are used."""
    words = re.sub(r"[^a-zA-Z0-9]+", "-", f"{root}-{text}").strip("-")[:60].strip("-")
    start = words or "definition"
    candidates = itertools.chain([start], (f"{start}-{n}" for n in itertools.count(2)))
    return next(name for name in candidates if name.lower() not in used)
