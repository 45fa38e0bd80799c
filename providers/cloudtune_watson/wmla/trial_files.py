"""What a trial of a search left; only the files of an emulator can be read."""

from __future__ import annotations

from cloudtune.provider import JobContext, Plan
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, TrialFiles, local_files
from cloudtune.results import Trial

_ON_CLUSTER = (
    "outputs and checkpoints: they are in the folder of the search on the volume of WML "
    "Accelerator, and IBM documents no call that reads it"
)


def trial_files(plan: Plan, context: JobContext, trial: Trial) -> TrialFiles:
    """Return the files of a trial."""
    results = context.emulator_folder / "volume" / "batchworkdir" / trial.id
    if not plan.facts.emulated:
        return local_files({}, _ON_CLUSTER)
    return local_files({OUTPUT: results / "model", CHECKPOINT: results / "checkpoint"})
