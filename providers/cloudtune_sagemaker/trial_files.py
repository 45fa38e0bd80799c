"""What a training job left in S3: its model, its other output and its checkpoints.

The layout below the output path is that of the developer guide, "How Amazon SageMaker AI Provides
Training Information" and OutputDataConfig of the API reference (read 2026-11-27).
"""

from __future__ import annotations

from cloudtune.provider import JobContext, Plan
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, StoredFile, TrialFiles, local_files
from cloudtune.results import Started, Trial
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.request.layout import checkpoints_uri, job_prefix
from cloudtune_sagemaker.uploads import S3Storage

DATA = "output-data"
"""The folder for what the script left in ``SM_OUTPUT_DATA_DIR``."""
_ARCHIVES = {"model.tar.gz": OUTPUT, "output.tar.gz": DATA}
_OTHER = "other"
_FOLDERS = {"model": OUTPUT, "data": DATA}
"""Without compression."""


def trial_files(aws: Aws, plan: Plan, trial: Trial, started: Started) -> TrialFiles:
    """Return the objects of a trial.

    Raises:
        AwsError: If S3 cannot be reached, or refuses.
    """
    storage, data = S3Storage(aws), plan.facts.data
    folder = f"{job_prefix(data, plan.facts.job_name)}/output/{trial.id}/output/"
    if trial.artifacts:
        folder = f"{trial.artifacts.rpartition('/output/')[0]}/output/"
    files: dict[str, StoredFile] = {}
    objects = {each.removeprefix(folder): file for each, file in storage.files(folder).items()}
    archives = {name: target for name, target in _ARCHIVES.items() if name in objects}
    for name, file in objects.items():
        top, _, inner = name.partition("/")
        if name in archives:
            files[name] = file
        elif top in _FOLDERS and inner and not archives:
            files[f"{_FOLDERS[top]}/{inner}"] = file
        else:
            files[f"{_OTHER}/{name}"] = file
    name = trial.id if plan.mode == "managed" else str(started.checkpoint_number)
    folder = checkpoints_uri(data, plan.facts.job_name, name)
    for address, file in storage.files(folder).items():
        files[f"{CHECKPOINT}/{address.removeprefix(folder)}"] = file
    return TrialFiles(storage.read, files, archives)


def emulated_files(context: JobContext, plan: Plan, trial: Trial, _started: Started) -> TrialFiles:
    """Return the files of a trial whose emulator has ended, in the folder of its container."""
    container = context.emulator_folder / "jobs" / plan.facts.data["region"] / trial.id
    root = container / "root" / "opt" / "ml"
    own = trial.id if plan.mode == "managed" else ""
    folders = {OUTPUT: root / "model", DATA: root / "output" / "data"}
    request = plan.request
    definitions = request.get("TrainingJobDefinitions") or [
        request.get("TrainingJobDefinition", request)
    ]
    if any("CheckpointConfig" in each for each in definitions):
        folders[CHECKPOINT] = root / "checkpoints" / own
    return local_files(folders)
