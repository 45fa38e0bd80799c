"""Writes the training definition of a study: code, machines, data and limits of a trial."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.provider import (
    FromEnvironment,
    Json,
    Study,
    Value,
    compact,
    format_value,
    is_remote,
    parse_duration,
    source_address,
)
from cloudtune_sagemaker.native.names import DIRECTORY, PROGRAM, script_argument
from cloudtune_sagemaker.settings import NAME


def training_definition(
    study: Study, settings: Mapping[str, Any], fixed: Mapping[str, Value]
) -> Json:
    """Return a training definition with what the study and the settings say, without its ranges."""
    encode = value_encoder(study)
    static = {name: encode(value) for name, value in {**study.constants, **fixed}.items()}
    if study.strategy.resource and study.strategy.max:
        static[study.strategy.resource] = str(study.strategy.max)
    address = source_address(study, NAME)
    if study.trial.script and is_remote(address):
        static |= {PROGRAM: study.trial.script, DIRECTORY: str(address)}
    definition = compact(StaticHyperParameters=static)
    metrics = [
        {"Name": name, "Regex": regex}
        for name, expressions in study.trial.metrics.items()
        for regex in expressions
    ]
    definition["AlgorithmSpecification"] = compact(
        TrainingImage=settings.get("image"),
        AlgorithmName=settings.get("algorithm"),
        TrainingInputMode=settings.get("input_mode", "File"),
        MetricDefinitions=metrics,
    )
    output = compact(S3OutputPath=_output(settings), KmsKeyId=settings.get("kms_key"))
    timeout = study.limits.trial_timeout
    stopping = compact(
        MaxRuntimeInSeconds=math.ceil(timeout) if timeout else None,
        MaxWaitTimeInSeconds=_seconds(settings.get("max_wait")),
    )
    return definition | compact(
        RoleArn=settings.get("role_arn"),
        InputDataConfig=_channels(study),
        OutputDataConfig=output,
        **_machines(settings),
        StoppingCondition=stopping,
        EnableManagedSpotTraining=settings.get("spot") or None,
        EnableNetworkIsolation=settings.get("network_isolation") or None,
        EnableInterContainerTrafficEncryption=settings.get("encrypt_traffic") or None,
        VpcConfig=compact(
            SecurityGroupIds=settings.get("security_group_ids"), Subnets=settings.get("subnets")
        ),
        RetryStrategy=compact(MaximumRetryAttempts=settings.get("retry")),
        Environment={
            name: value
            for name, value in study.trial.env.items()
            if not isinstance(value, FromEnvironment)
        },
    )


def value_encoder(study: Study) -> Callable[[Value], str]:
    """Return what writes a value; the toolkit starts code that is in S3."""
    return _encode if is_remote(source_address(study, NAME)) else format_value


def _encode(value: Value) -> str:
    """Return the text of a value from which SageMaker's toolkit decodes the same argument."""
    text = format_value(value)
    return text if script_argument(text) == text or not isinstance(value, str) else json.dumps(text)


def _output(settings: Mapping[str, Any]) -> str | None:
    bucket, prefix = settings.get("bucket"), settings.get("prefix", "cloudtune")
    if not bucket:
        return None
    return f"s3://{bucket}" + ("/" if prefix == "/" else f"/{prefix}" if prefix else "")


def _machines(settings: Mapping[str, Any]) -> Json:
    types: str | list[str] = settings.get("instance_type") or []
    count, volume = (1, 30) if types else (None, None)
    shape = compact(
        InstanceCount=settings.get("instance_count", count),
        VolumeSizeInGB=settings.get("volume_size", volume),
    )
    key = compact(VolumeKmsKeyId=settings.get("volume_kms_key"))
    if isinstance(types, str):
        types = [types]
    if len(types) <= 1:
        return {"ResourceConfig": {**compact(InstanceType="".join(types)), **shape, **key}}
    configs = [{"InstanceType": name, **shape} for name in types]
    return {
        "HyperParameterTuningResourceConfig": {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": configs,
            **key,
        }
    }


def _seconds(text: Any) -> int | None:
    return None if text is None else math.ceil(parse_duration(text))


def _channels(study: Study) -> list[Json]:
    return [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": address.uri,
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            **compact(ContentType=address.content_type),
        }
        for name, addresses in study.trial.inputs.items()
        if (address := addresses.get(NAME) or addresses.get("*"))
    ]
