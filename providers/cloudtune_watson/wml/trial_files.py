"""What a training left in its folder of results.

IBM does not document whether that folder has a subfolder for each training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cloudtune.provider import JobContext
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, StoredFile, TrialFiles, local_files
from cloudtune.results import Trial
from cloudtune_watson.wml.client import WmlClient

_FOLDERS = {"model": OUTPUT, "checkpoint": CHECKPOINT}
_OTHER = "other"


def trial_files(wml: WmlClient, trial: Trial) -> TrialFiles:
    """Return the files of a trial.

    Raises:
        WatsonError: If the cluster cannot be called, or refuses.
    """
    folder = (trial.artifacts or "").split("/assets/", maxsplit=1)[-1].strip("/")
    if not folder:
        return local_files({}, "outputs and checkpoints: the training has no folder of results")
    files = {
        path.removeprefix(f"{folder}/"): StoredFile(path, size)
        for path, size in wml.list_files(folder).items()
    }
    return TrialFiles(wml.stream, dict(_place(files.items())))


def emulated_files(context: JobContext, trial: Trial) -> TrialFiles:
    """Return the files of a trial whose emulator has ended, on its volume."""
    volume = context.emulator_folder / "volume"
    found = local_files({"": volume / (trial.artifacts or "").strip("/")})
    return replace(found, files=dict(_place((name[1:], f) for name, f in found.files.items())))


def _place(files: Iterable[tuple[str, StoredFile]]) -> Iterable[tuple[str, StoredFile]]:
    for name, file in files:
        parts = name.split("/")
        start = next((n for n, part in enumerate(parts[:2]) if part in _FOLDERS), None)
        if start is None or start + 1 == len(parts):
            yield f"{_OTHER}/{name}", file
        else:
            yield "/".join([_FOLDERS[parts[start]], *parts[start + 1 :]]), file
