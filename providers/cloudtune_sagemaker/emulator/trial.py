"""The training job that a trial of a tuning job is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cloudtune.study.schema import Json
from cloudtune_sagemaker.emulator.rules.ranges import OBJECTIVE


def trial_request(definition: Json, name: str, tuned: Mapping[str, str], metric: str) -> Json:
    """Return the training job that a definition becomes with the values of one trial."""
    request = {key: value for key, value in definition.items() if key in _COPIED}
    request["TrainingJobName"] = name
    request["HyperParameters"] = {
        **definition.get("StaticHyperParameters", {}),
        **tuned,
        OBJECTIVE: metric,
    }
    own: Json | None = definition.get("HyperParameterTuningResourceConfig")
    if own is not None:
        chosen = own["InstanceConfigs"][0] if "InstanceConfigs" in own else own
        kept = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
        request["ResourceConfig"] = {key: chosen[key] for key in kept if key in chosen}
    return request


_COPIED = frozenset(
    [
        *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
        *("ResourceConfig", "StoppingCondition", "EnableNetworkIsolation", "CheckpointConfig"),
        *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "RetryStrategy"),
        "Environment",
    ]
)


def folder_of(root: Path, region: str, name: str) -> Path:
    """Return the new, empty folder of a training job; an earlier emulator may have left one."""
    folder = root / "jobs" / region / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
