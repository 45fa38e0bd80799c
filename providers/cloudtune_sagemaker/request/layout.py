"""Where the files of a job are in S3 and in its containers, and the tags by which it is found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.launcher import STUDY_FILE
from cloudtune.provider import Facts, FittedStudy, Json, launcher_files, launcher_program
from cloudtune.provider.uploads import upload_address
from cloudtune_sagemaker.settings import SageMakerSettings

NUMBER = "{{number}}"
"""Placeholder for the number of a trial in the request of the driven mode."""
RUN_TAG = "cloudtune:run"
TRIAL_TAG = "cloudtune:trial"
CHECKPOINTS = "/opt/ml/checkpoints"
CHANNELS = "/opt/ml/input/data"
"""The folder of a container that has one folder per input channel."""
CODE_CHANNEL = "code"
"""The input channel with the archive, for containers without a network."""
ARCHIVE = "sourcedir.tar.gz"
_CONTRACT = Path(__file__).parents[1] / "launcher_contract.py"
_MARK = "cloudtune"
"""In the archive instead of the run's id, which every training job has in its name."""


def uploads_prefix(data: Mapping[str, Any]) -> str:
    """Return the S3 address below which the uploads of all jobs are."""
    return job_prefix(data, "")


def job_prefix(data: Mapping[str, Any], job: str) -> str:
    """Return the S3 address below which the results of a job are."""
    parts = [data["bucket"], data["prefix"], job]
    return "s3://" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def checkpoints_uri(data: Mapping[str, Any], job: str, trial: str = "") -> str:
    """Return the S3 address of a job's checkpoints, or of one trial's.

    The address of a folder ends with a slash: S3 selects by prefix, so that ``checkpoints/1`` would
    also select ``checkpoints/10``.
    """
    return f"{job_prefix(data, job)}/checkpoints/" + (f"{trial}/" if trial else "")


def archive_uri(fitted: FittedStudy, facts: Facts) -> str:
    """Return the S3 address of the archive with the code: the user's, or one of its content."""
    if facts.lookup.code_address:
        return facts.lookup.code_address
    call = archive_files(fitted, facts)[STUDY_FILE]
    total = hashlib.sha256(f"{facts.source_hash} {facts.data['launcher']} ".encode() + call)
    return upload_address(uploads_prefix(facts.data), total.hexdigest()) + ARCHIVE


def launcher_hash() -> str:
    """Return a hash of the launcher, which is in the archive, too."""
    files = [*launcher_program().values(), _CONTRACT.read_bytes()]
    return hashlib.sha256(b"".join(files)).hexdigest()


def archive_files(fitted: FittedStudy, facts: Facts) -> dict[str, bytes]:
    """Return cloudtune's files in the archive, by name. They are the same for all equal runs."""
    inputs = facts.lookup.inputs
    paths = {name: f"{CHANNELS}/{name}" for name in inputs.addresses}
    for name, path in inputs.uploads.items():
        if Path(path).is_file():
            paths[name] += f"/{Path(path).name}"
    return launcher_files(fitted, _MARK, paths, contract=_CONTRACT)


def submit_directory(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> str:
    """Return where a container gets the archive: an S3 address, or the path in its channel."""
    uri = archive_uri(fitted, facts)
    if not settings.network_isolation:
        return uri
    return f"{CHANNELS}/{CODE_CHANNEL}/{uri.rpartition('/')[2]}"


def run_tag(facts: Facts) -> Json:
    """Return the tag of a run."""
    return {"Key": RUN_TAG, "Value": facts.run_id}
