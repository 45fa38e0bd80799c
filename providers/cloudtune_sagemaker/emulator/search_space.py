"""A tuning job's ranges as studies that cloudtune's own search can run, and back to text.

Every objective is turned into one metric that is minimised, so that several training job
definitions, each with a metric of its own, can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study
from cloudtune_sagemaker.emulator.state import TuningJob

METRIC = "objective"
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
    found: Json = definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    return found


def ranges_of(config: Json, definition: Json) -> Json:
    """Return the ranges of a definition, its own or the job's."""
    found: Json = definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
    return found


def sign_of(objective: Json) -> int:
    """Return the factor that makes less better."""
    return -1 if objective["Type"] == "Maximize" else 1


def studies(job: TuningJob) -> list[Study]:
    """Return one study a training job definition."""
    return [_study(job.config, definition) for definition in job.definitions]


def values_of(config: Json, definition: Json, tuned: Mapping[str, str]) -> dict[str, Value] | None:
    """Return what a trial's text means in a definition's ranges; None if a name is missing."""
    ranges = ranges_of(config, definition)
    try:
        return {
            **{r["Name"]: tuned[r["Name"]] for r in ranges.get("CategoricalParameterRanges", ())},
            **{r["Name"]: int(tuned[r["Name"]]) for r in ranges.get("IntegerParameterRanges", ())},
            **{
                r["Name"]: float(tuned[r["Name"]])
                for r in ranges.get("ContinuousParameterRanges", ())
            },
        }
    except (KeyError, ValueError):
        return None


def max_resource(config: Json, definition: Json) -> int | None:
    """Return Hyperband's largest resource, as given or as the service infers it."""
    given: int | None = (
        config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {}).get("MaxResource")
    )
    if given is not None:
        return given
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
    said: dict[str, Any] = {
        "objective": {"metric": METRIC, "goal": "minimize"},
        "parameters": _parameters(ranges_of(config, definition)),
        "strategy": _strategy(config, definition),
        "limits": {
            "max_trials": limits.get("MaxNumberOfTrainingJobs"),
            "parallel_trials": limits["MaxParallelTrainingJobs"],
        },
    }
    if target is not None:
        said["objective"]["target"] = sign_of(objective) * float(target)
    if limits.get("MaxRuntimeInSeconds"):
        said["limits"]["timeout"] = f"{limits['MaxRuntimeInSeconds']}s"
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        # "AMT uses the median stopping rule" (developer guide, automatic-model-tuning-early-stop).
        said["early_stopping"] = {"rule": "median"}
    return Study.model_validate(said)


def _parameters(ranges: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in ranges.get("IntegerParameterRanges", ()):
        found[item["Name"]] = {
            "type": "int",
            "min": int(item["MinValue"]),
            "max": int(item["MaxValue"]),
            "scale": _scale(item),
        }
    for item in ranges.get("ContinuousParameterRanges", ()):
        found[item["Name"]] = {
            "type": "float",
            "min": float(item["MinValue"]),
            "max": float(item["MaxValue"]),
            "scale": _scale(item),
        }
    for item in ranges.get("CategoricalParameterRanges", ()):
        values: Sequence[str] = item["Values"]
        found[item["Name"]] = {"type": "categorical", "values": list(values)}
    return found


def _scale(item: Json) -> str:
    return _SCALES[item.get("ScalingType", "Auto")]


def _strategy(config: Json, definition: Json) -> dict[str, Any]:
    strategy: dict[str, Any] = {"name": config["Strategy"].lower()}
    if config["Strategy"] == "Hyperband":
        own = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        strategy["min"] = own.get("MinResource", 1)
        strategy["max"] = max_resource(config, definition)
    return strategy
