"""The part of a tuning job's request that a study and its settings determine.

An export is this part, with what is kept of an imported request. A run adds what
`cloudtune_sagemaker.request.tuning_job` has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from cloudtune.formats import (
    Native,
    compact,
    inverse,
    is_remote,
    map_at,
    named_entries,
    source_address,
    storage_address,
)
from cloudtune.provider import (
    FittedStudy,
    FloatParameter,
    FromEnvironment,
    IntParameter,
    Json,
    Parameter,
    Study,
    Value,
    format_value,
    list_values,
)
from cloudtune_sagemaker.native.names import (
    AUTO,
    DIRECTORY,
    GOALS,
    PROGRAM,
    SCALES,
    WARM_STARTS,
    WORDS,
    script_argument,
)
from cloudtune_sagemaker.request.metric_regex import CannotJoinError, join_regexes
from cloudtune_sagemaker.request.parameters import (
    Definition,
    list_definitions,
    max_trials,
    static_values,
)
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

MIN_TIMEOUT = 120
"""Seconds (ResourceLimits.MaxRuntimeInSeconds)."""
MIN_PATIENCE = 3
"""Trials (BestObjectiveNotImproving.MaxNumberOfTrainingJobsNotImproving)."""
JOB_PREFIX = f"{NAME}:"
"""Before the name of a tuning job in ``warm_start.from``."""


def study_part(fitted: FittedStudy, settings: SageMakerSettings, native: Native) -> Json:
    """Return the request, with what is kept of the parameters of an imported one."""
    study, rest = fitted.study, native.rest
    definitions = list_definitions(fitted, settings.definition_names)
    config = _config(study)
    objective = _objective(study)
    encode = value_encoder(study)
    request: Json = compact(HyperParameterTuningJobName=study.name)
    request["HyperParameterTuningJobConfig"] = config
    kept = map_at(rest, "TrainingJobDefinition")
    if fitted.root is None and "DefinitionName" not in kept:
        config |= compact(HyperParameterTuningJobObjective=objective)
        config["ParameterRanges"] = _ranges(definitions[0], native, encode)
        training = _training_definition(fitted, definitions[0], settings)
        if training != {"AlgorithmSpecification": {"TrainingInputMode": "File"}}:
            request["TrainingJobDefinition"] = training
    else:
        if fitted.root is None:  # one entry of a list
            rest["TrainingJobDefinitions"] = [rest.pop("TrainingJobDefinition")]
            definitions = [Definition(kept["DefinitionName"], definitions[0].tuned, {})]
        request["TrainingJobDefinitions"] = [
            {
                "DefinitionName": each.name,
                **compact(TuningObjective=objective),
                "HyperParameterRanges": _ranges(each, native, encode),
                **_training_definition(fitted, each, settings),
            }
            for each in definitions
        ]
        _drop_definitions(rest, [str(each.name) for each in definitions])
    return request | compact(WarmStartConfig=_warm_start(study), Tags=user_tags(settings))


def user_tags(settings: SageMakerSettings) -> list[Json]:
    """Return the tags in the settings."""
    return [{"Key": key, "Value": value} for key, value in settings.tags.items()]


def training_fields(study: Study, settings: SageMakerSettings) -> Json:
    """Return the fields that a training job and a training definition have in common."""
    metrics = [] if settings.algorithm else _metric_definitions(study)
    return compact(
        AlgorithmSpecification=compact(
            TrainingImage=None if settings.algorithm else settings.image,
            AlgorithmName=settings.algorithm,
            TrainingInputMode=settings.input_mode,
            MetricDefinitions=metrics,
        ),
        RoleArn=settings.role_arn,
        InputDataConfig=_channels(study),
        OutputDataConfig=compact(
            S3OutputPath=storage_address("s3", settings.bucket, settings.prefix),
            KmsKeyId=settings.kms_key,
        ),
        StoppingCondition=_stopping_condition(study, settings),
        EnableManagedSpotTraining=settings.spot or None,
        EnableNetworkIsolation=settings.network_isolation or None,
        EnableInterContainerTrafficEncryption=settings.encrypt_traffic or None,
        VpcConfig=compact(SecurityGroupIds=settings.security_group_ids, Subnets=settings.subnets),
        RetryStrategy=compact(MaximumRetryAttempts=settings.retry),
        Environment={
            name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else value
            for name, value in study.trial.env.items()
        },
    )


def value_encoder(study: Study) -> Callable[[Value], str]:
    """Return what writes a value: SageMaker's toolkit decodes the values of a script in S3."""
    return _encode if script_address(study) else format_value


def script_address(study: Study) -> str | None:
    """Return the address of a script in S3, which SageMaker's toolkit starts; None otherwise."""
    address = source_address(study, NAME)
    return address if study.trial.script and is_remote(address) else None


def _encode(value: Value) -> str:
    """Return the text of a value from which SageMaker's toolkit decodes the same argument."""
    text = format_value(value)
    return text if script_argument(text) == text or not isinstance(value, str) else json.dumps(text)


def _config(study: Study) -> Json:
    strategy, limits = study.strategy, study.limits
    config: Json = {"Strategy": WORDS.strategy(strategy) or strategy.name}
    if strategy.name == "hyperband" and strategy.max:
        band = {"MinResource": strategy.min or 1, "MaxResource": strategy.max}
        config["StrategyConfig"] = {"HyperbandStrategyConfig": band}
    timeout = limits.timeout and max(MIN_TIMEOUT, math.ceil(limits.timeout))
    config["ResourceLimits"] = compact(
        MaxNumberOfTrainingJobs=max_trials(study),
        MaxParallelTrainingJobs=limits.parallel_trials or 1,
        MaxRuntimeInSeconds=timeout,
    )
    config["TrainingJobEarlyStoppingType"] = AUTO if study.early_stopping else "Off"
    patience = limits.patience and max(MIN_PATIENCE, limits.patience)
    target = study.objectives[0].target if study.objectives else None
    return config | compact(
        TuningJobCompletionCriteria=compact(
            TargetObjectiveMetricValue=target,
            BestObjectiveNotImproving=compact(MaxNumberOfTrainingJobsNotImproving=patience),
        ),
        RandomSeed=None if strategy.name == "grid" else strategy.seed,
    )


def _objective(study: Study) -> Json:
    for objective in study.objectives:
        return {"Type": inverse(GOALS, objective.goal), "MetricName": objective.metric}
    return {}


def _ranges(definition: Definition, native: Native, encode: Callable[[Value], str]) -> Json:
    """Return the ParameterRanges of a definition."""
    found: dict[str, list[Json]] = {}
    for name, parameter in definition.tuned.items():
        kind, fields = _range(parameter, encode)
        entry = {"Name": name, **native.written(name, parameter, fields)}
        found.setdefault(f"{kind}ParameterRanges", []).append(entry)
    return dict(found)


def _range(parameter: Parameter, encode: Callable[[Value], str]) -> tuple[str, Json]:
    if isinstance(parameter, FloatParameter | IntParameter):
        return "Continuous" if isinstance(parameter, FloatParameter) else "Integer", {
            "MinValue": format_value(parameter.min),
            "MaxValue": format_value(parameter.max),
            "ScalingType": inverse(SCALES, parameter.scale),
        }
    return "Categorical", {"Values": list(map(encode, list_values(parameter) or ()))}


def _drop_definitions(rest: Json, names: list[str]) -> None:
    """Drop what is kept of the definitions of values that the root no longer has."""
    kept = named_entries(rest.pop("TrainingJobDefinitions", None), "DefinitionName")
    if found := [each for name in names for each in kept.get(name, ())]:
        rest["TrainingJobDefinitions"] = found


def _warm_start(study: Study) -> Json | None:
    start = study.warm_start
    parents = [each for each in start.from_ if each.startswith(JOB_PREFIX)] if start else []
    if start is None or not parents:
        return None
    names = [parent.removeprefix(JOB_PREFIX) for parent in parents]
    return {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": n} for n in names],
        "WarmStartType": inverse(WARM_STARTS, start.kind),
    }


def _training_definition(
    fitted: FittedStudy, definition: Definition, settings: SageMakerSettings
) -> Json:
    study = fitted.study
    encode = value_encoder(study)
    static = {name: encode(value) for name, value in static_values(study, definition).items()}
    if address := script_address(study):
        static |= {PROGRAM: str(study.trial.script), DIRECTORY: address}
    return {
        **compact(StaticHyperParameters=static),
        **training_fields(study, settings),
        **machines(settings),
    }


def _metric_definitions(study: Study) -> list[Json]:
    return [
        {"Name": name, "Regex": one_regex(regexes)}
        for name, regexes in study.trial.metrics.items()
        if regexes
    ]


def one_regex(regexes: list[str]) -> str:
    """Return the one regex of a metric: all of them joined, or else the first one."""
    try:
        return join_regexes(regexes)
    except CannotJoinError:
        return regexes[0]


def _stopping_condition(study: Study, settings: SageMakerSettings) -> Json:
    limit = study.limits.trial_timeout and math.ceil(study.limits.trial_timeout)
    if not settings.spot:
        return compact(MaxRuntimeInSeconds=limit)
    wait = math.ceil(settings.max_wait) if settings.max_wait else limit
    return compact(
        MaxRuntimeInSeconds=limit, MaxWaitTimeInSeconds=wait and max(wait, limit or wait)
    )


def machines(settings: SageMakerSettings) -> Json:
    """Return the instances of a trial; nothing that is a default if no type is set."""
    types = settings.instance_type or []
    key = compact(VolumeKmsKeyId=settings.volume_kms_key)
    if len(types) > 1:
        return {
            "HyperParameterTuningResourceConfig": {
                "AllocationStrategy": "Prioritized",
                "InstanceConfigs": [_instance_config(name, settings) for name in types],
                **key,
            }
        }
    if types:
        return {"ResourceConfig": {**_instance_config(types[0], settings), **key}}
    written = settings.model_fields_set
    return compact(
        ResourceConfig=compact(
            InstanceCount=settings.instance_count if "instance_count" in written else None,
            VolumeSizeInGB=settings.volume_size if "volume_size" in written else None,
            **key,
        )
    )


def _instance_config(instance_type: str, settings: SageMakerSettings) -> Json:
    return {
        "InstanceType": instance_type,
        "InstanceCount": settings.instance_count,
        "VolumeSizeInGB": settings.volume_size,
    }


def _channels(study: Study) -> list[Json]:
    return [
        {**channel(name, address.uri), **compact(ContentType=address.content_type)}
        for name, addresses in study.trial.inputs.items()
        if (address := addresses.get(NAME) or addresses.get("*")) and is_remote(address.uri)
    ]


def channel(name: str, uri: str) -> Json:
    """Return an input channel with all objects below an address in S3."""
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
