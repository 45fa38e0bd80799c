"""Inputs, which the service looks for when a job is created, with the rights of the job's role."""

from __future__ import annotations

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.storage import StorageError, keys, split_uri


def check(job: Json, region: str) -> None:
    """Refuse a training job, or a definition of a tuning job, whose input has no objects.

    The words are recorded, with both operations (tests/recordings/sagemaker/texts_create_refused,
    2025 or 2026).

    Raises:
        ServiceError: A ValidationException.
    """
    for channel in job.get("InputDataConfig", ()):
        source: Json = channel.get("DataSource", {}).get("S3DataSource", {})
        uri: str = source.get("S3Uri", "")
        if uri and not _has_objects(uri):
            bucket = split_uri(uri)[0]
            raise invalid(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please '
                f"ensure that the bucket exists in the selected region ({region}), that objects "
                f'exist under that S3 prefix, and that the role "{job.get("RoleArn", "")}" has '
                f'"s3:ListBucket" permissions on bucket "{bucket}".'
            )


def _has_objects(uri: str) -> bool:
    try:
        return bool(keys(uri))
    except StorageError:  # there is no such bucket
        return False
