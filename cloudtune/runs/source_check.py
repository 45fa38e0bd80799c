"""Checks that the copy of the source, which a run's trials use, is as it was at the run's start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cloudtune.bundle.files import fingerprint
from cloudtune.errors import UsageError
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.study.quantities import format_list

_MAX_NAMED = 5
"""Files that a message names."""


def require_unchanged_source(record: RunRecord, job: JobRecord, folder: Path) -> None:
    """Check a job's copy of the source against the hash in its plan.

    Args:
        record: The run.
        job: The job; the code of a managed job that was submitted is at the service.
        folder: The copy; if the job has no code, the folder does not exist.

    Raises:
        UsageError: If the copy has changed or is missing; the message names what is known.
    """
    expected = job.facts.source_hash
    if expected is None or (job.mode == "managed" and job.job is not None):
        return
    names = sorted(_list_all(folder), key=os.fsencode)
    # What Python writes next to modules that it imports is not part of the source.
    without_caches = [name for name in names if "__pycache__" not in name.split("/")]
    try:
        unhashed = job.facts.unhashed
        if expected in {fingerprint(folder, each, unhashed) for each in (names, without_caches)}:
            return
        problem = _describe_changes(folder, names, record.created)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    raise UsageError(
        f"the copy of the source that run {record.id} uses has changed since the run was created, "
        f"so its next trials would run other code: {problem or folder}\n"
        f"Restore it to resume: {folder}. Or start a new run, with "
        f"warm_start: {{from: {record.id}, kind: transfer}} to use the trials of this one."
    )


def _list_all(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files and links."""
    for parent, folders, files in os.walk(folder):
        prefix = os.path.relpath(parent, folder)
        links = [each for each in folders if Path(parent, each).is_symlink()]
        for name in (*files, *links):
            yield name if prefix == "." else f"{prefix}/{name}"


def _describe_changes(folder: Path, names: list[str], created: float) -> str:
    """Return what is known to have changed: the copy has no list of its files."""
    if not folder.is_dir():
        return f"{folder} is missing"
    newer = [name for name in names if (folder / name).lstat().st_mtime > created]
    if newer:
        return f"{format_list(newer, _MAX_NAMED)} changed in {folder}"
    return f"files are missing from {folder}, were replaced by older ones, or have another mode"
