"""What a trial left in Cloud Storage, below the base of its output."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

from cloudtune.provider import JobContext, Plan, if_found
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, StoredFile, TrialFiles, local_files
from cloudtune.results import Started, Trial
from cloudtune_vertex.client import Google

_FOLDERS = {"model": OUTPUT, "checkpoints": CHECKPOINT}
"""The folders to which ``AIP_MODEL_DIR`` and ``AIP_CHECKPOINT_DIR`` lead (CustomJobSpec,
baseOutputDirectory, read 2026-11-27)."""
_OTHER = "other"
_NO_BASE = "outputs: the job has no baseOutputDirectory"
_PART_BYTES = 16 * 1024 * 1024
"""Bytes of one request."""


def trial_files(google: Google, _plan: Plan, trial: Trial, _started: Started) -> TrialFiles:
    """Return the objects of a trial.

    Raises:
        GoogleError: If Cloud Storage cannot be reached, or refuses.
    """
    if not trial.artifacts:
        return TrialFiles(lambda _file, _start: iter(()), {}, missing=(_NO_BASE,))
    bucket, folder = _base(trial.artifacts)

    def read(file: StoredFile, start: int) -> Iterator[bytes]:
        while part := google.read(bucket, file.address, start, start + _PART_BYTES):
            yield part
            start += len(part)

    files: dict[str, StoredFile] = {}
    for each in if_found(lambda: google.list_objects(bucket, folder)) or ():
        md5 = base64.b64decode(each.md5 or "").hex()
        file = StoredFile(each.name, each.size, each.generation, md5)
        files[_place(each.name.removeprefix(folder))] = file
    return TrialFiles(read, files)


def emulated_files(context: JobContext, _plan: Plan, trial: Trial, _started: Started) -> TrialFiles:
    """Return the files of a trial whose emulator has ended, in the folder of its bucket."""
    bucket, folder = _base(trial.artifacts or "")
    found = local_files({"": context.emulator_folder / "gcs" / bucket / folder.rstrip("/")})
    return replace(found, files={_place(name[1:]): file for name, file in found.files.items()})


def _base(artifacts: str) -> tuple[str, str]:
    """Return the bucket and the folder of a trial, from the address of its model."""
    bucket, _, name = artifacts.removeprefix("gs://").partition("/")
    return bucket, name.removesuffix("model")


def _place(name: str) -> str:
    folder, _, inner = name.partition("/")
    return f"{_FOLDERS[folder]}/{inner}" if folder in _FOLDERS else f"{_OTHER}/{name}"
