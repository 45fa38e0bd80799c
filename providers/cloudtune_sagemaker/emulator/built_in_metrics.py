"""The metrics of built-in algorithms, which the service adds to descriptions.

The names and expressions are recorded (tests/recordings/sagemaker, 2024-04: kmeans:1 and
sagemaker-xgboost:1.3-1). Other algorithms were not. A tuning job gets one more,
``ObjectiveMetric``, with the expression of its objective, and its trials measure it: a model card
of 2025-02 has it among the final metrics of a tuned XGBoost. Jobs in script mode were not recorded
and stay as they are.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from cloudtune.emulator_kit import Json

OBJECTIVE = "ObjectiveMetric"


def described(algorithm: Json, objective: str = "") -> Json:
    """Return an AlgorithmSpecification as a description has it.

    Args:
        algorithm: The one of the request.
        objective: The metric that a tuning job optimizes.
    """
    repository = algorithm.get("TrainingImage", "").rpartition("/")[2].partition(":")[0]
    metrics = _metrics().get(repository)
    if metrics is None or algorithm.get("MetricDefinitions"):
        return algorithm
    definitions = [{"Name": name, "Regex": regex} for name, regex in metrics.items()]
    if objective in metrics:
        definitions.append({"Name": OBJECTIVE, "Regex": metrics[objective]})
    return {**algorithm, "MetricDefinitions": definitions}


@cache
def _metrics() -> dict[str, dict[str, str]]:
    """Return the expressions of each metric, by the image's repository."""
    text = Path(__file__).with_name("built_in_metrics.json").read_text("utf-8")
    metrics: dict[str, dict[str, str]] = json.loads(text)
    return metrics
