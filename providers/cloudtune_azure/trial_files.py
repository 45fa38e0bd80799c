"""What a trial left in the datastore."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import JobContext, Plan
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, StoredFile, TrialFiles, local_files
from cloudtune.results import Started, Trial
from cloudtune_azure.client import AzureClient
from cloudtune_azure.request.training_job import outputs_folder
from cloudtune_azure.settings import AzureSettings
from cloudtune_azure.storage import BlobStorage


def trial_files(client: AzureClient, plan: Plan, _trial: Trial, started: Started) -> TrialFiles:
    """Return the blobs of a trial.

    Raises:
        AzureError: If the storage cannot be reached, or refuses.
    """
    storage = BlobStorage(client)

    def read(file: StoredFile, start: int) -> Iterator[bytes]:
        return storage.read(file.address, start) if start < file.size else iter(())

    files: dict[str, StoredFile] = {}
    for place, folder in _folders(plan, started).items():
        for name, blob in storage.find(f"{folder}/").items():
            digest = blob.content_settings.content_md5
            md5 = bytes(digest).hex() if digest else ""
            file = StoredFile(f"{folder}/{name}", int(blob.size), str(blob.etag), md5)
            files[f"{place}/{name}"] = file
    return TrialFiles(read, files)


def emulated_files(context: JobContext, plan: Plan, _trial: Trial, started: Started) -> TrialFiles:
    """Return the files of a trial whose emulator has ended, in the folder of its blobs."""
    assert isinstance(plan.settings, AzureSettings)
    blobs = context.emulator_folder / "blobs" / plan.settings.datastore
    return local_files(
        {
            place: blobs / folder.partition("/paths/")[2]
            for place, folder in _folders(plan, started).items()
        }
    )


def _folders(plan: Plan, started: Started) -> dict[str, str]:
    assert isinstance(plan.settings, AzureSettings)
    base = f"{outputs_folder(plan.facts, plan.settings)}/{started.checkpoint_number}"
    return {OUTPUT: f"{base}/output", CHECKPOINT: f"{base}/checkpoint"}
