"""What this emulator can start: scripts, and no images. The service has no such rule."""

from __future__ import annotations

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.contract import ToolkitFailure, source_uri
from cloudtune_sagemaker.emulator.errors import invalid

NO_IMAGES = (
    "This emulator runs scripts, not images, and the request has no script. Set the "
    "hyperparameters sagemaker_program and sagemaker_submit_directory to the script and the "
    "archive with the source, or set ContainerEntrypoint; the SDK sets them for source code. An "
    "algorithm that is part of an image runs only at SageMaker."
)


def check(job: Json) -> None:
    """Refuse a training job, or a definition of a tuning job, without a script.

    Raises:
        ServiceError: A ValidationException.
    """
    if job.get("AlgorithmSpecification", {}).get("ContainerEntrypoint"):
        return
    values = job.get("HyperParameters", job.get("StaticHyperParameters", {}))
    try:
        address = source_uri({"HyperParameters": values})
    except ToolkitFailure:  # the job fails with the toolkit's own message
        return
    if address is None:
        raise invalid(NO_IMAGES)
