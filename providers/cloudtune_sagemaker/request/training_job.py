"""The request of CreateTrainingJob, and its fields that a tuning job shares."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.provider import (
    Facts,
    FittedStudy,
    FromEnvironment,
    Json,
    Mode,
    Study,
    has_code,
    input_address,
    uses_launcher,
)
from cloudtune_sagemaker.request.layout import (
    CHECKPOINTS,
    CODE_CHANNEL,
    NUMBER,
    TRIAL_TAG,
    archive_uri,
    checkpoints_uri,
    job_prefix,
    job_tags,
)
from cloudtune_sagemaker.request.metric_regex import (
    CannotJoinError,
    join_regexes,
    launcher_regex,
)
from cloudtune_sagemaker.request.parameters import static_parameters
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

DEFAULT_TRIAL_SECONDS = 24 * 3600
"""SageMaker's own time limit of a training job."""


def training_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request for one trial of the driven mode."""
    name = f"{facts.job_name}-{NUMBER}"
    request: Json = {
        "TrainingJobName": name,
        "HyperParameters": static_parameters(fitted, settings, facts, name),
    }
    request |= training_fields(fitted, settings, facts)
    if request["AlgorithmSpecification"].get("MetricDefinitions"):
        request["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] = True
    types: list[str] = facts.data["instance_types"]
    resources = resource_config(types[0], settings)
    if len(types) > 1:
        del resources["InstanceType"]
        resources["InstancePreferences"] = [{"InstanceType": name} for name in types]
    if settings.keep_alive:
        resources["KeepAlivePeriodInSeconds"] = math.ceil(settings.keep_alive)
    request["ResourceConfig"] = resources
    if saves_checkpoints(fitted.study, settings, facts, "driven"):
        uri = checkpoints_uri(facts.data, facts.job_name, NUMBER)
        request["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": CHECKPOINTS}
    request["Tags"] = [*job_tags(settings, facts), {"Key": TRIAL_TAG, "Value": NUMBER}]
    return request


def training_fields(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the fields that a training job and a training definition have in common."""
    study = fitted.study
    fields: Json = {
        "AlgorithmSpecification": _algorithm(study, settings, facts),
        "RoleArn": facts.data["role_arn"],
        "OutputDataConfig": {
            "S3OutputPath": f"{job_prefix(facts.data, facts.job_name)}/output",
            **if_set("KmsKeyId", settings.kms_key),
        },
        "StoppingCondition": _stopping_condition(study, settings),
    }
    fields |= if_set("InputDataConfig", _channels(fitted, settings, facts))
    variables = {
        name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else value
        for name, value in study.trial.env.items()
    }
    fields |= if_set("Environment", variables)
    if settings.subnets or settings.security_group_ids:
        fields["VpcConfig"] = {
            "SecurityGroupIds": settings.security_group_ids or [],
            "Subnets": settings.subnets or [],
        }
    fields |= if_set("EnableNetworkIsolation", settings.network_isolation)
    fields |= if_set("EnableInterContainerTrafficEncryption", settings.encrypt_traffic)
    fields |= if_set("EnableManagedSpotTraining", settings.spot)
    if settings.retry:
        fields["RetryStrategy"] = {"MaximumRetryAttempts": settings.retry}
    return fields


def resource_config(instance_type: str, settings: SageMakerSettings) -> Json:
    """Return the ResourceConfig of a job with one instance type."""
    config = instance_config(instance_type, settings)
    return {**config, **if_set("VolumeKmsKeyId", settings.volume_kms_key)}


def instance_config(instance_type: str, settings: SageMakerSettings) -> Json:
    """Return the instances of a trial and their disks."""
    return {
        "InstanceType": instance_type,
        "InstanceCount": settings.instance_count,
        "VolumeSizeInGB": settings.volume_size,
    }


def metric_definitions(study: Study, settings: SageMakerSettings, facts: Facts) -> dict[str, str]:
    """Return the regex of each metric that SageMaker reads from the log."""
    if settings.algorithm:
        return {}
    if uses_launcher(study, facts):
        names = [*(objective.metric for objective in study.objectives), *study.trial.metrics]
        return {name: launcher_regex(name) for name in names}
    definitions: dict[str, str] = {}
    for name, regexes in study.trial.metrics.items():
        if regexes:
            try:
                definitions[name] = join_regexes(regexes)
            except CannotJoinError:
                definitions[name] = regexes[0]
    return definitions


def max_trial_seconds(study: Study) -> int:
    """Return the time limit of one trial in seconds."""
    timeout = study.limits.trial_timeout
    return math.ceil(timeout) if timeout else DEFAULT_TRIAL_SECONDS


def saves_checkpoints(study: Study, settings: SageMakerSettings, facts: Facts, mode: Mode) -> bool:
    """Return whether the checkpoints of a trial are saved in the bucket.

    A tuning job has one address for the checkpoints of all trials (CheckpointConfig of
    HyperParameterTrainingJobDefinition, botocore 1.44.8), and each trial starts with all files
    there (developer guide, model-checkpoints-resume, read 2026-11-27). So by default, managed
    trials save checkpoints only where they may be interrupted, and only with the launcher, which
    gives each trial its own folder.
    """
    if settings.checkpoints is not None:
        return settings.checkpoints
    return mode == "driven" or (settings.spot and uses_launcher(study, facts))


def if_set(key: str, value: Any) -> Json:
    """Return the field, or nothing if its value is empty."""
    return {key: value} if value else {}


def _algorithm(study: Study, settings: SageMakerSettings, facts: Facts) -> Json:
    definitions = metric_definitions(study, settings, facts)
    metrics = [{"Name": name, "Regex": regex} for name, regex in definitions.items()]
    return {
        **if_set("AlgorithmName", settings.algorithm),
        **({} if settings.algorithm else {"TrainingImage": facts.data["image"]}),
        "TrainingInputMode": settings.input_mode,
        **if_set("MetricDefinitions", metrics),
    }


def _stopping_condition(study: Study, settings: SageMakerSettings) -> Json:
    limit = max_trial_seconds(study)
    if not settings.spot:
        return {"MaxRuntimeInSeconds": limit}
    wait = math.ceil(settings.max_wait) if settings.max_wait else limit
    return {"MaxRuntimeInSeconds": limit, "MaxWaitTimeInSeconds": max(wait, limit)}


def _channels(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> list[Json]:
    study = fitted.study
    channels: list[Json] = []
    for name, uri in facts.lookup.inputs.addresses.items():
        address = input_address(study, NAME, name, emulated=facts.emulated)
        content_type = address.content_type if address else None
        if uri:
            channels.append({**_channel(name, uri), **if_set("ContentType", content_type)})
    if settings.network_isolation and has_code(study):
        channels.append({**_channel(CODE_CHANNEL, archive_uri(fitted, facts)), "InputMode": "File"})
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
