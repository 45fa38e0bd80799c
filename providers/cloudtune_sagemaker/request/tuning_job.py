"""The request of CreateHyperParameterTuningJob."""

from __future__ import annotations

import math

from cloudtune.provider import (
    CategoricalParameter,
    Facts,
    FittedStudy,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Space,
    Study,
    format_value,
    inverse,
)
from cloudtune_sagemaker.native.names import GOALS, SCALES, STRATEGIES, WARM_STARTS
from cloudtune_sagemaker.request.layout import CHECKPOINTS, checkpoints_uri, job_tags
from cloudtune_sagemaker.request.parameters import DefinitionParameters, definition_parameters
from cloudtune_sagemaker.request.training_job import (
    if_set,
    instance_config,
    resource_config,
    saves_checkpoints,
    training_fields,
)
from cloudtune_sagemaker.settings import SageMakerSettings

MIN_TIMEOUT = 120
"""Seconds (ResourceLimits.MaxRuntimeInSeconds)."""
MIN_PATIENCE = 3
"""Trials (BestObjectiveNotImproving.MaxNumberOfTrainingJobsNotImproving)."""


def tuning_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request of the managed mode."""
    config = _tuning_config(fitted.study, facts.seed)
    request: Json = {
        "HyperParameterTuningJobName": facts.job_name,
        "HyperParameterTuningJobConfig": config,
    }
    definitions = definition_parameters(fitted, settings, facts)
    objective = _objective(fitted.study)
    if fitted.root is None:
        config |= if_set("HyperParameterTuningJobObjective", objective)
        config["ParameterRanges"] = _ranges(definitions[0])
        request["TrainingJobDefinition"] = _definition(fitted, definitions[0], settings, facts)
    else:
        request["TrainingJobDefinitions"] = [
            {
                "DefinitionName": definition.name,
                **if_set("TuningObjective", objective),
                "HyperParameterRanges": _ranges(definition),
                **_definition(fitted, definition, settings, facts),
            }
            for definition in definitions
        ]
    if fitted.study.warm_start and facts.parent_jobs:
        request["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": name} for name in facts.parent_jobs
            ],
            "WarmStartType": inverse(WARM_STARTS, fitted.study.warm_start.kind),
        }
    request["Tags"] = job_tags(settings, facts)
    return request


def _tuning_config(study: Study, seed: int) -> Json:
    strategy, limits = study.strategy, study.limits
    config: Json = {"Strategy": _strategy_word(strategy.name)}
    if strategy.name == "hyperband" and strategy.max:
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {
                "MinResource": strategy.min or 1,
                "MaxResource": strategy.max,
            }
        }
    resource_limits: Json = {}
    if (trials := max_trials(study)) is not None:
        resource_limits["MaxNumberOfTrainingJobs"] = trials
    resource_limits["MaxParallelTrainingJobs"] = limits.parallel_trials or 1
    if limits.timeout:
        resource_limits["MaxRuntimeInSeconds"] = max(MIN_TIMEOUT, math.ceil(limits.timeout))
    config["ResourceLimits"] = resource_limits
    config["TrainingJobEarlyStoppingType"] = "Auto" if study.early_stopping else "Off"
    criteria: Json = {}
    if study.objectives and study.objectives[0].target is not None:
        criteria["TargetObjectiveMetricValue"] = float(study.objectives[0].target)
    if limits.patience:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": max(MIN_PATIENCE, limits.patience)
        }
    config |= if_set("TuningJobCompletionCriteria", criteria)
    if strategy.name != "grid":
        config["RandomSeed"] = seed
    return config


def _strategy_word(name: str) -> str:
    """Return SageMaker's name of a strategy; that of the study for one that is refused."""
    return next((word for word, each in STRATEGIES.items() if each == name), name)


def max_trials(study: Study) -> int | None:
    """Return the maximum number of trials of a tuning job, which is never above the combinations.

    None for a grid, which SageMaker counts itself, and for a study with only a time limit.
    """
    if study.strategy.name == "grid" or study.limits.max_trials is None:
        return None
    return min(study.limits.max_trials, Space.from_study(study).size or study.limits.max_trials)


def _objective(study: Study) -> Json:
    if not study.objectives:
        return {}
    objective = study.objectives[0]
    return {"Type": inverse(GOALS, objective.goal), "MetricName": objective.metric}


def _ranges(definition: DefinitionParameters) -> Json:
    ranges: dict[str, list[Json]] = {}
    for name, parameter in definition.tuned.items():
        kind, fields = _range(parameter)
        ranges.setdefault(kind, []).append({"Name": name, **fields})
    return ranges


def _range(parameter: Parameter) -> tuple[str, Json]:
    if isinstance(parameter, FloatParameter | IntParameter):
        is_float = isinstance(parameter, FloatParameter)
        low, high = (float(n) if is_float else n for n in (parameter.min, parameter.max))
        return "ContinuousParameterRanges" if is_float else "IntegerParameterRanges", {
            "MinValue": format_value(low),
            "MaxValue": format_value(high),
            "ScalingType": scaling_type(parameter),
        }
    # The fit replaced other parameters by categorical ones, or refused them.
    values = parameter.values if isinstance(parameter, CategoricalParameter) else []
    return "CategoricalParameterRanges", {"Values": list(map(format_value, values))}


def scaling_type(parameter: FloatParameter | IntParameter) -> str:
    """Return SageMaker's name of a scale; it has reverse_log only from 0 to below 1."""
    if parameter.scale == "reverse_log" and not 0 <= parameter.min <= parameter.max < 1:
        return inverse(SCALES, "linear")
    return inverse(SCALES, parameter.scale)


def _definition(
    fitted: FittedStudy, parameters: DefinitionParameters, settings: SageMakerSettings, facts: Facts
) -> Json:
    definition: Json = {"StaticHyperParameters": dict(parameters.static)}
    definition |= training_fields(fitted, settings, facts)
    definition |= _resources(settings, facts)
    if saves_checkpoints(fitted.study, settings, facts, "managed"):
        uri = checkpoints_uri(facts.data, facts.job_name)
        definition["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": CHECKPOINTS}
    return definition


def _resources(settings: SageMakerSettings, facts: Facts) -> Json:
    types: list[str] = facts.data["instance_types"]
    if len(types) == 1:
        return {"ResourceConfig": resource_config(types[0], settings)}
    return {
        "HyperParameterTuningResourceConfig": {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": [instance_config(name, settings) for name in types],
            **if_set("VolumeKmsKeyId", settings.volume_kms_key),
        }
    }
