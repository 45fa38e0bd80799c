"""A fitted study as the request that SageMaker takes, in its own spelling.

Managed it is that of CreateHyperParameterTuningJob. Driven it is that of CreateTrainingJob for one
trial: what differs from trial to trial stands in it as ``{{number}}``, the runner adds the tuned
values, and both modes show what comes from the caller's environment as ``${NAME}``.
"""

from __future__ import annotations

import math
from typing import Any

from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune.study.schema import (
    CategoricalParameter,
    FloatParameter,
    FromEnvironment,
    IntParameter,
    Json,
    Mode,
    Objective,
    Parameter,
)
from cloudtune.study.search_space import Space, format_value
from cloudtune.study.study import Study
from cloudtune_sagemaker.request.metric_regex import CannotJoinError, joined, of_launcher
from cloudtune_sagemaker.request.parameters import (
    CODE_CHANNEL,
    Branch,
    archive,
    branches,
    constants_of,
    home,
)
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

NUMBER = "{{number}}"
"""What stands for the number of a trial in the driven mode's request."""
RUN_TAG = "cloudtune:run"
TRIAL_TAG = "cloudtune:trial"
DAY = 24 * 3600
"""Seconds that a training job may take where none are said: SageMaker's own limit."""
SHORTEST_TIMEOUT = 120
SHORTEST_PATIENCE = 3
CHECKPOINTS = "/opt/ml/checkpoints"

STRATEGIES = {
    "bayesian": "Bayesian",
    "random": "Random",
    "grid": "Grid",
    "hyperband": "Hyperband",
}
SCALES = {
    "linear": "Linear",
    "log": "Logarithmic",
    "reverse_log": "ReverseLogarithmic",
    "auto": "Auto",
}
GOALS = {"maximize": "Maximize", "minimize": "Minimize"}
WARM_STARTS = {"same": "IdenticalDataAndAlgorithm", "transfer": "TransferLearning"}


def request(fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    if mode == "driven":
        return _training_job(fitted, settings, facts)
    return _tuning_job(fitted, settings, facts)


def _tuning_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    config = _tuning_config(fitted.study, facts.seed)
    made: Json = {
        "HyperParameterTuningJobName": facts.job_name,
        "HyperParameterTuningJobConfig": config,
    }
    parts = branches(fitted, settings, facts)
    objective = _objective(fitted.study)
    if fitted.root is None:
        config |= _given("HyperParameterTuningJobObjective", objective)
        config["ParameterRanges"] = _ranges(parts[0])
        made["TrainingJobDefinition"] = _definition(fitted, parts[0], settings, facts)
    else:
        made["TrainingJobDefinitions"] = [
            {
                "DefinitionName": part.name,
                **_given("TuningObjective", objective),
                "HyperParameterRanges": _ranges(part),
                **_definition(fitted, part, settings, facts),
            }
            for part in parts
        ]
    if fitted.study.warm_start and facts.parent_jobs:
        made["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": name} for name in facts.parent_jobs
            ],
            "WarmStartType": WARM_STARTS[fitted.study.warm_start.kind],
        }
    made["Tags"] = _tags(settings, facts)
    return made


def _tuning_config(study: Study, seed: int) -> Json:
    strategy, limits = study.strategy, study.limits
    config: Json = {"Strategy": STRATEGIES.get(strategy.name, strategy.name)}
    if strategy.name == "hyperband" and strategy.max:
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {
                "MinResource": strategy.min or 1,
                "MaxResource": strategy.max,
            }
        }
    resources: Json = {}
    if (most := most_trials(study)) is not None:
        resources["MaxNumberOfTrainingJobs"] = most
    resources["MaxParallelTrainingJobs"] = limits.parallel_trials or 1
    if limits.timeout:
        resources["MaxRuntimeInSeconds"] = max(SHORTEST_TIMEOUT, math.ceil(limits.timeout))
    config["ResourceLimits"] = resources
    config["TrainingJobEarlyStoppingType"] = "Auto" if study.early_stopping else "Off"
    criteria: Json = {}
    if study.objectives and study.objectives[0].target is not None:
        criteria["TargetObjectiveMetricValue"] = float(study.objectives[0].target)
    if limits.patience:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": max(SHORTEST_PATIENCE, limits.patience)
        }
    if criteria:
        config["TuningJobCompletionCriteria"] = criteria
    if strategy.name != "grid":
        config["RandomSeed"] = seed
    return config


def most_trials(study: Study) -> int | None:
    """Return how many trials a tuning job may start: no more than there are combinations.

    None for a grid, which SageMaker counts itself, and where only time is limited.

    Args:
        study: As it was fitted.
    """
    if study.strategy.name == "grid" or study.limits.max_trials is None:
        return None
    return min(study.limits.max_trials, Space.from_study(study).size or study.limits.max_trials)


def _objective(study: Study) -> Json:
    if not study.objectives:
        return {}
    objective: Objective = study.objectives[0]
    return {"Type": GOALS[objective.goal], "MetricName": objective.metric}


def _ranges(part: Branch) -> Json:
    ranges: dict[str, list[Json]] = {}
    for name, parameter in part.tuned.items():
        kind, described = _range(parameter)
        ranges.setdefault(kind, []).append({"Name": name, **described})
    return ranges


def _range(parameter: Parameter) -> tuple[str, Json]:
    match parameter:
        case FloatParameter():
            bounds: Json = {
                "MinValue": format_value(float(parameter.min)),
                "MaxValue": format_value(float(parameter.max)),
            }
            return "ContinuousParameterRanges", {**bounds, "ScalingType": scaling(parameter)}
        case IntParameter():
            bounds = {
                "MinValue": format_value(parameter.min),
                "MaxValue": format_value(parameter.max),
            }
            return "IntegerParameterRanges", {**bounds, "ScalingType": scaling(parameter)}
        case CategoricalParameter():
            return "CategoricalParameterRanges", {
                "Values": list(map(format_value, parameter.values))
            }
        case _:
            # Fit has made lists of these, or refused them.
            return "CategoricalParameterRanges", {"Values": []}


def scaling(parameter: FloatParameter | IntParameter) -> str:
    """Return SageMaker's word for a scale; a reversed one exists from 0 to below 1 alone."""
    if parameter.scale == "reverse_log" and not 0 <= parameter.min <= parameter.max < 1:
        return SCALES["linear"]
    return SCALES[parameter.scale]


def _definition(
    fitted: FittedStudy, part: Branch, settings: SageMakerSettings, facts: Facts
) -> Json:
    made: Json = {"StaticHyperParameters": dict(part.static)}
    made |= _job(fitted.study, settings, facts)
    made |= _machines(settings, facts)
    if keeps_checkpoints(fitted.study, settings, facts, "managed"):
        made["CheckpointConfig"] = _checkpoints(f"{home(facts.own, facts.job_name)}/checkpoints")
    return made


def _training_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    job = f"{facts.job_name}-{NUMBER}"
    made: Json = {
        "TrainingJobName": job,
        "HyperParameters": constants_of(fitted, settings, facts, job),
    }
    made |= _job(fitted.study, settings, facts)
    if made["AlgorithmSpecification"].get("MetricDefinitions"):
        made["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] = True
    made |= _machines_of_one(settings, facts)
    if keeps_checkpoints(fitted.study, settings, facts, "driven"):
        folder = f"{home(facts.own, facts.job_name)}/checkpoints/{NUMBER}"
        made["CheckpointConfig"] = _checkpoints(folder)
    made["Tags"] = [*_tags(settings, facts), {"Key": TRIAL_TAG, "Value": NUMBER}]
    return made


def _job(study: Study, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return what a training definition and a training job have in common."""
    made: Json = {
        "AlgorithmSpecification": _algorithm(study, settings, facts),
        "RoleArn": facts.own["role_arn"],
        "OutputDataConfig": {
            "S3OutputPath": f"{home(facts.own, facts.job_name)}/output",
            **_given("KmsKeyId", settings.kms_key),
        },
        "StoppingCondition": _stopping(study, settings),
    }
    if channels := _channels(study, settings, facts):
        made["InputDataConfig"] = channels
    if study.trial.env:
        made["Environment"] = {
            name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else value
            for name, value in study.trial.env.items()
        }
    if settings.subnets or settings.security_group_ids:
        made["VpcConfig"] = {
            "SecurityGroupIds": settings.security_group_ids or [],
            "Subnets": settings.subnets or [],
        }
    made |= _given("EnableNetworkIsolation", settings.network_isolation)
    made |= _given("EnableInterContainerTrafficEncryption", settings.encrypt_traffic)
    made |= _given("EnableManagedSpotTraining", settings.spot)
    if settings.retry:
        made["RetryStrategy"] = {"MaximumRetryAttempts": settings.retry}
    return made


def _algorithm(study: Study, settings: SageMakerSettings, facts: Facts) -> Json:
    made: Json = {}
    if settings.algorithm:
        made["AlgorithmName"] = settings.algorithm
    else:
        made["TrainingImage"] = facts.own["image"]
    made["TrainingInputMode"] = settings.input_mode
    if definitions := metric_definitions(study, settings, facts):
        made["MetricDefinitions"] = [
            {"Name": name, "Regex": regex} for name, regex in definitions.items()
        ]
    return made


def metric_definitions(study: Study, settings: SageMakerSettings, facts: Facts) -> dict[str, str]:
    """Return the expression of each metric that SageMaker has to find in what is printed."""
    if settings.algorithm:
        return {}
    if uses_launcher(study, facts):
        names = [objective.metric for objective in study.objectives]
        return {name: of_launcher(name) for name in dict.fromkeys([*names, *study.trial.metrics])}
    found: dict[str, str] = {}
    for name, expressions in study.trial.metrics.items():
        if expressions:
            try:
                found[name] = joined(expressions)
            except CannotJoinError:
                found[name] = expressions[0]
    return found


def _stopping(study: Study, settings: SageMakerSettings) -> Json:
    longest = longest_trial(study)
    if not settings.spot:
        return {"MaxRuntimeInSeconds": longest}
    wait = math.ceil(settings.max_wait) if settings.max_wait else longest
    return {"MaxRuntimeInSeconds": longest, "MaxWaitTimeInSeconds": max(wait, longest)}


def longest_trial(study: Study) -> int:
    """Return how many seconds one trial may take."""
    return math.ceil(study.limits.trial_timeout) if study.limits.trial_timeout else DAY


def _channels(study: Study, settings: SageMakerSettings, facts: Facts) -> list[Json]:
    channels: list[Json] = []
    for name, uri in facts.own["inputs"].items():
        found = input_address(study, NAME, name, emulated=facts.emulated)
        content = found.content_type if found else None
        if uri:
            channels.append({**_channel(name, uri), **_given("ContentType", content)})
    if settings.network_isolation and has_code(study):
        code = _channel(CODE_CHANNEL, archive(facts))
        channels.append({**code, "InputMode": "File"})
    return channels


def _channel(name: str, uri: str) -> Json:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def _machines(settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the machines of a tuning job, which may have several types in order of preference."""
    types: list[str] = facts.own["instance_types"]
    if len(types) == 1:
        return {"ResourceConfig": _one_type(types[0], settings)}
    return {
        "HyperParameterTuningResourceConfig": {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": [
                {
                    "InstanceType": name,
                    "InstanceCount": settings.instance_count,
                    "VolumeSizeInGB": settings.volume_size,
                }
                for name in types
            ],
            **_given("VolumeKmsKeyId", settings.volume_kms_key),
        }
    }


def _machines_of_one(settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the machines of a training job, which spells several types in its own way."""
    types: list[str] = facts.own["instance_types"]
    config = _one_type(types[0], settings)
    if len(types) > 1:
        del config["InstanceType"]
        config["InstancePreferences"] = [{"InstanceType": name} for name in types]
    return {"ResourceConfig": config}


def _one_type(name: str, settings: SageMakerSettings) -> Json:
    return {
        "InstanceType": name,
        "InstanceCount": settings.instance_count,
        "VolumeSizeInGB": settings.volume_size,
        **_given("VolumeKmsKeyId", settings.volume_kms_key),
    }


def keeps_checkpoints(study: Study, settings: SageMakerSettings, facts: Facts, mode: Mode) -> bool:
    """Tell whether what a trial saves is kept in the bucket.

    Where nothing is said it is, unless all trials would share one folder: that is so in a managed
    job without our launcher, which gives each its own.
    """
    if settings.checkpoints is not None:
        return settings.checkpoints
    return mode == "driven" or uses_launcher(study, facts)


def _checkpoints(uri: str) -> Json:
    return {"S3Uri": uri, "LocalPath": CHECKPOINTS}


def _tags(settings: SageMakerSettings, facts: Facts) -> list[Json]:
    own = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
    return [*own, {"Key": RUN_TAG, "Value": facts.run_id}]


def _given(key: str, value: Any) -> Json:
    return {key: value} if value else {}
