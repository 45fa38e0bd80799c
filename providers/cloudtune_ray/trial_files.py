"""What a trial left in the folder that all nodes share.

Ray's API reads only the logs of its nodes, so this machine must have the folder, too.
"""

from __future__ import annotations

from pathlib import Path

from cloudtune.provider import Plan, UsageError
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, TrialFiles, local_files
from cloudtune.results import Started
from cloudtune_ray.request import storage_folder
from cloudtune_ray.settings import RaySettings

_NO_STORAGE = "outputs and checkpoints: without providers.ray.storage, the cluster keeps none"


def trial_files(plan: Plan, started: Started) -> TrialFiles:
    """Return the files of a trial.

    Raises:
        UsageError: If the folder of the storage is not on this machine.
        OSError: If it cannot be read.
    """
    assert isinstance(plan.settings, RaySettings)
    storage, run = plan.settings.storage, plan.facts.run_id
    if storage is None:
        return local_files({}, _NO_STORAGE)
    if not Path(storage).is_dir():
        folder = storage_folder(storage, run, started.number)
        raise UsageError(
            f"the files are in {folder} on the nodes of the cluster, and this machine has no "
            f"{storage}: mount it, or run this command where it is"
        )
    return local_files(
        {
            OUTPUT: f"{storage_folder(storage, run, started.number)}/output",
            CHECKPOINT: f"{storage_folder(storage, run, started.checkpoint_number)}/checkpoint",
        }
    )
