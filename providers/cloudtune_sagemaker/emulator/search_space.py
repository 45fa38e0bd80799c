"""Converts a tuning job's ranges into studies that cloudtune's search can run, and values back.

Every objective becomes one metric to minimize, so that training job definitions with different
metrics can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.emulator_kit import Json, Study, Value
from cloudtune_sagemaker.emulator.state import TuningJob

METRIC = "objective"
KINDS: Mapping[str, type[int | float | str]] = {
    "IntegerParameterRanges": int,
    "ContinuousParameterRanges": float,
    "CategoricalParameterRanges": str,
}
"""The lists of ranges, each with the type of its values."""
_SCALES = {
    "Auto": "auto",
    "Linear": "linear",
    "Logarithmic": "log",
    "ReverseLogarithmic": "reverse_log",
}
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters from which Hyperband's MaxResource is taken (botocore 1.44.8 model,
documentation of HyperbandStrategyConfig.MaxResource)."""


def objective_of(config: Json, definition: Json) -> Json:
    """Return the objective of a definition, its own or the job's."""
    objective: Json = (
        definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    )
    return objective


def ranges_of(config: Json, definition: Json) -> Json:
    """Return the ranges of a definition, its own or the job's."""
    ranges: Json = definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
    return ranges


def studies(job: TuningJob) -> list[Study]:
    """Return one study per training job definition."""
    return [_study(job.config, definition) for definition in job.definitions]


def values_of(config: Json, definition: Json, tuned: Mapping[str, str]) -> dict[str, Value] | None:
    """Return a trial's values in a definition's ranges; None if a name is missing."""
    ranges = ranges_of(config, definition)
    try:
        return {
            item["Name"]: kind(tuned[item["Name"]])
            for key, kind in KINDS.items()
            for item in ranges.get(key, ())
        }
    except (KeyError, ValueError):
        return None


def max_resource(config: Json, definition: Json) -> int | None:
    """Return Hyperband's MaxResource from the request, or as the service infers it."""
    resource: int | None = (
        config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {}).get("MaxResource")
    )
    if resource is not None:
        return resource
    static: Mapping[str, str] = definition.get("StaticHyperParameters", {})
    for name in EPOCHS:
        if name in static:
            try:
                return int(static[name].strip('"'))
            except ValueError:
                return None
    return None


def _study(config: Json, definition: Json) -> Study:
    objective = objective_of(config, definition)
    limits = config["ResourceLimits"]
    target = config.get("TuningJobCompletionCriteria", {}).get("TargetObjectiveMetricValue")
    study: dict[str, Any] = {
        "objective": {"metric": METRIC, "goal": "minimize"},
        "parameters": _parameters(ranges_of(config, definition)),
        "strategy": _strategy(config, definition),
        "limits": {
            "max_trials": limits.get("MaxNumberOfTrainingJobs"),
            "parallel_trials": limits["MaxParallelTrainingJobs"],
        },
    }
    if target is not None:
        sign = -1 if objective["Type"] == "Maximize" else 1
        study["objective"]["target"] = sign * float(target)
    if limits.get("MaxRuntimeInSeconds"):
        study["limits"]["timeout"] = f"{limits['MaxRuntimeInSeconds']}s"
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        # "AMT uses the median stopping rule" (developer guide, automatic-model-tuning-early-stop).
        study["early_stopping"] = {"rule": "median"}
    return Study.model_validate(study)


def _parameters(ranges: Json) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for key, kind in list(KINDS.items())[:2]:
        for item in ranges.get(key, ()):
            parameters[item["Name"]] = {
                "type": kind.__name__,
                "min": kind(item["MinValue"]),
                "max": kind(item["MaxValue"]),
                "scale": _SCALES[item.get("ScalingType", "Auto")],
            }
    for item in ranges.get("CategoricalParameterRanges", ()):
        values: Sequence[str] = item["Values"]
        parameters[item["Name"]] = {"type": "categorical", "values": list(values)}
    return parameters


def _strategy(config: Json, definition: Json) -> dict[str, Any]:
    strategy: dict[str, Any] = {"name": config["Strategy"].lower()}
    if config["Strategy"] == "Hyperband":
        hyperband = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        strategy["min"] = hyperband.get("MinResource", 1)
        strategy["max"] = max_resource(config, definition)
    return strategy
