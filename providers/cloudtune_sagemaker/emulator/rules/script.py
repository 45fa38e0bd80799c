"""What this emulator can start: scripts, no images, on one host. The service has no such rule."""

from __future__ import annotations

from cloudtune.emulator_kit import Json, runtime
from cloudtune_sagemaker.contract import ToolkitFailure, source_uri
from cloudtune_sagemaker.emulator.errors import invalid

NO_IMAGES = (
    "This emulator runs scripts, not images, and the request has no script. Set the "
    "hyperparameters sagemaker_program and sagemaker_submit_directory to the script and the "
    "archive with the source, or set ContainerEntrypoint; the SDK sets them for source code. An "
    "algorithm that is part of an image runs where the emulator runs images: start it with "
    "--with-images, which needs Docker or Podman."
)
ONE_HOST = (
    "This emulator runs one host per training job, and the request has {}: the service would start "
    "the script on each of them. Set InstanceCount to 1."
)


def check(job: Json) -> None:
    """Refuse a training job, or a definition of a tuning job, without a script or of several hosts.

    Raises:
        ServiceError: A ValidationException.
    """
    hosts = max(_hosts(job, "ResourceConfig"), _hosts(job, "HyperParameterTuningResourceConfig"))
    if hosts > 1:
        raise invalid(ONE_HOST.format(hosts))
    algorithm: Json = job.get("AlgorithmSpecification", {})
    if runtime().engine:
        if "TrainingImage" not in algorithm:
            raise invalid("This emulator runs images, and the request has no TrainingImage.")
        return
    if algorithm.get("ContainerEntrypoint"):
        return
    values = job.get("HyperParameters", job.get("StaticHyperParameters", {}))
    try:
        address = source_uri({"HyperParameters": values})
    except ToolkitFailure:  # the job fails with the toolkit's own message
        return
    if address is None:
        raise invalid(NO_IMAGES)


def _hosts(job: Json, block: str) -> int:
    """Return the most hosts that a job may get by one of its descriptions of machines."""
    config: Json = job.get(block, {})
    groups: int = sum(each["InstanceCount"] for each in config.get("InstanceGroups", ()))
    choices = (*config.get("InstancePreferences", ()), *config.get("InstanceConfigs", ()))
    counts: list[int] = [each.get("InstanceCount", 0) for each in choices]
    return max(int(config.get("InstanceCount", 0)), groups, *counts)
