"""Rules for a training job, and for a definition of a tuning job."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.rules import Rule

MAX_RUN = 28 * 86_400
"""Seconds (model, StoppingCondition)."""
_MAX_SPOT_WAIT = 3600
_WITH_LOCAL_STORAGE = re.compile(r"ml\.([a-z0-9-]*d[a-z0-9-]*|g5|g6e?|p5[a-z]*|trn1n?)\..*")
"""From sagemaker SDK 2.257.7 (utils.volume_size_supported)."""


def one_algorithm(job: Json) -> Iterator[str]:
    """Model, AlgorithmName: either it or TrainingImage."""
    algorithm: Json = job.get("AlgorithmSpecification", {})
    if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        yield (
            "You must specify exactly one of TrainingImage and AlgorithmName in "
            "AlgorithmSpecification."
        )


def spot_wait(job: Json) -> Iterator[str]:
    """Issue aws/amazon-sagemaker-examples 869 (first message); model, MaxWaitTimeInSeconds."""
    condition: Json = job.get("StoppingCondition", {})
    wait = condition.get("MaxWaitTimeInSeconds")
    if not job.get("EnableManagedSpotTraining"):
        if wait is not None:
            yield (
                "Invalid MaxWaitTimeInSeconds. It is only supported when "
                "EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < condition.get("MaxRuntimeInSeconds", 86_400):
        yield (
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds when EnableManagedSpotTraining is set to true"
        )


def spot_without_checkpoints(job: Json) -> Iterator[str]:
    """Guide, model-managed-spot-training: marketplace algorithms without checkpoints."""
    wait = job.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds", 0)
    is_marketplace = "AlgorithmName" in job.get("AlgorithmSpecification", {})
    if is_marketplace and "CheckpointConfig" not in job and wait > _MAX_SPOT_WAIT:
        yield (
            f"Invalid MaxWaitTimeInSeconds. It must be at most {_MAX_SPOT_WAIT} for an "
            "algorithm that does not use checkpoints."
        )


def max_run(job: Json) -> Iterator[str]:
    """Model, StoppingCondition: 28 days."""
    seconds = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 0)
    if seconds > MAX_RUN:
        yield f"Invalid MaxRuntimeInSeconds. It must be at most {MAX_RUN} seconds (28 days)."


def machines(job: Json) -> Iterator[str]:
    """Model, ResourceConfig: exactly one way to name the machines."""
    config: Json | None = job.get("ResourceConfig")
    if config is None:
        return
    preferred = "InstancePreferences" in config
    plain = "InstanceType" in config or ("InstanceCount" in config and not preferred)
    if plain + preferred + ("InstanceGroups" in config) != 1:
        yield (
            "ResourceConfig must have exactly one of InstanceType with InstanceCount, "
            "InstanceGroups and InstancePreferences."
        )
    elif plain and not (config.get("InstanceType") and config.get("InstanceCount")):
        yield "ResourceConfig must have both InstanceType and InstanceCount, at least 1."
    for key in ("SelectedInstanceType", "SelectedInstanceCount"):
        if key in config:
            yield f"{key} is set by the service and not accepted."


def preferences(job: Json) -> Iterator[str]:
    """Model, ResourceConfig and InstancePreference: unique types, and one count or one each."""
    config: Json = job.get("ResourceConfig", {})
    preferred: list[Json] | None = config.get("InstancePreferences")
    if preferred is None:
        return
    if job.get("EnableManagedSpotTraining"):
        yield "InstancePreferences cannot be used with EnableManagedSpotTraining."
    if len({each["InstanceType"] for each in preferred}) < len(preferred):
        yield "An instance type can appear only once in InstancePreferences."
    counts = sum("InstanceCount" in each for each in preferred)
    if counts != (0 if "InstanceCount" in config else len(preferred)):
        yield (
            "InstanceCount must be in every one of InstancePreferences, or in ResourceConfig and "
            "in none of them."
        )


def disk_key(job: Json) -> Iterator[str]:
    """Model, VolumeKmsKeyId of both kinds of ResourceConfig: not with local storage."""
    for block in ("ResourceConfig", "HyperParameterTuningResourceConfig"):
        config: Json = job.get(block, {})
        if "VolumeKmsKeyId" not in config:
            continue
        lists = ("InstanceGroups", "InstancePreferences", "InstanceConfigs")
        for each in [config, *(each for name in lists for each in config.get(name, ()))]:
            kind: str = each.get("InstanceType", "")
            if _WITH_LOCAL_STORAGE.fullmatch(kind):
                yield f"VolumeKmsKeyId cannot be used: {kind} has local storage."


def tuning_machines(job: Json) -> Iterator[str]:
    """Model, HyperParameterTuningResourceConfig and its InstanceConfigs."""
    config: Json | None = job.get("HyperParameterTuningResourceConfig")
    if config is None:
        return
    plain = [key for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if key in config]
    if "InstanceConfigs" in config:
        if plain:
            yield f"You cannot specify InstanceConfigs together with {', '.join(plain)}."
    elif len(plain) < 3:
        yield (
            "HyperParameterTuningResourceConfig must have InstanceType, InstanceCount and "
            "VolumeSizeInGB, or InstanceConfigs."
        )


def channels(job: Json) -> Iterator[str]:
    """Model, InputDataConfig: unique channel names, and one source each."""
    names: list[str] = [channel["ChannelName"] for channel in job.get("InputDataConfig", ())]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"Channel names must be unique, and {name} is used more than once."
    for name in {".", ".."}.intersection(names):  # the pattern allows them, no folder has them
        yield f"Channel name {name} is not valid."
    for channel in job.get("InputDataConfig", ()):
        if len(channel["DataSource"]) != 1:
            yield f"Channel {channel['ChannelName']} must have exactly one data source."


def tags(job: Json) -> Iterator[str]:
    """Model, Tag: unique keys. AWS general reference, tagging: ``aws:`` is reserved."""
    keys: list[str] = [tag["Key"] for tag in job.get("Tags", ())]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"Duplicate tag key {key}."
    for key in keys:
        if key.lower().startswith("aws:"):
            yield f"The tag key {key} is reserved: keys cannot begin with aws:."


RULES: tuple[Rule[Json], ...] = (
    one_algorithm,
    spot_wait,
    spot_without_checkpoints,
    max_run,
    machines,
    preferences,
    disk_key,
    tuning_machines,
    channels,
    tags,
)
