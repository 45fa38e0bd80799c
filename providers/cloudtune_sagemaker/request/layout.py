"""Where the files of a job are in S3 and in its containers, and the tags by which it is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.provider import Facts, Json
from cloudtune_sagemaker.settings import SageMakerSettings

NUMBER = "{{number}}"
"""Stands for the number of a trial in the request of the driven mode."""
RUN_TAG = "cloudtune:run"
TRIAL_TAG = "cloudtune:trial"
CHECKPOINTS = "/opt/ml/checkpoints"
CHANNELS = "/opt/ml/input/data"
"""The folder of a container that has one folder per input channel."""
CODE_CHANNEL = "code"
"""The input channel with the archive, for containers without a network."""
ARCHIVE = "sourcedir.tar.gz"


def job_prefix(data: Mapping[str, Any], job: str) -> str:
    """Return the S3 address below which all files of a job are."""
    parts = [data["bucket"], data["prefix"], job]
    return "s3://" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def checkpoints_uri(data: Mapping[str, Any], job: str, trial: str = "") -> str:
    """Return the S3 address of a job's checkpoints, or of one trial's.

    The address of a folder ends with a slash: S3 selects by prefix, so that ``checkpoints/1`` would
    also select ``checkpoints/10``.
    """
    return f"{job_prefix(data, job)}/checkpoints/" + (f"{trial}/" if trial else "")


def archive_uri(facts: Facts) -> str:
    """Return the S3 address of the archive with the code."""
    return facts.lookup.code_address or f"{job_prefix(facts.data, facts.job_name)}/source/{ARCHIVE}"


def submit_directory(settings: SageMakerSettings, facts: Facts) -> str:
    """Return where a container gets the archive: an S3 address, or the path in its channel."""
    uri = archive_uri(facts)
    if not settings.network_isolation:
        return uri
    return f"{CHANNELS}/{CODE_CHANNEL}/{uri.rpartition('/')[2]}"


def job_tags(settings: SageMakerSettings, facts: Facts) -> list[Json]:
    """Return the user's tags and the one of the run."""
    tags = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
    return [*tags, {"Key": RUN_TAG, "Value": facts.run_id}]
