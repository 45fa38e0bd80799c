"""What the script of a deployment job left, from the copy of its results on this machine."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import JobContext, Plan
from cloudtune.provider.trial_files import OUTPUT, StoredFile, TrialFiles, local_files
from cloudtune.results import Trial
from cloudtune_watson.jobs.launcher_contract import MODEL
from cloudtune_watson.jobs.results import FOLDER, OWN_FILES


def trial_files(_plan: Plan, context: JobContext, trial: Trial) -> TrialFiles:
    """Return the files of a trial.

    Raises:
        OSError: If they cannot be read.
    """
    found = local_files({"": context.folder / FOLDER / trial.id})
    files: dict[str, StoredFile] = {}
    for name, file in found.files.items():
        top, _, inner = name[1:].partition("/")
        if top == MODEL and inner:
            files[f"{OUTPUT}/{inner}"] = file
        elif top not in OWN_FILES:
            files[f"other/{name[1:]}"] = file
    return replace(found, files=files)
