"""What runs have uploaded to services, and its removal."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cloudtune.emulation.environment import reconnect, running_emulator
from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.uploads import RemoteUpload, Uploads, find_uploads, remove_uploads


@dataclass(frozen=True)
class JobUploads:
    """The uploads of one job."""

    run: str
    provider: str
    uploads: tuple[RemoteUpload, ...]


def list_uploads(run: str, runs: Collection[str]) -> list[JobUploads]:
    """Return what the jobs of a run have uploaded; ``runs`` do not count as other users.

    Raises:
        UsageError: If a plan of another version cannot be read, or a service may still run the job
            that uses them.
        ProviderError: If a service cannot be reached, or refuses.
        MissingExtraError: If a package that reaches a service is not installed.
    """
    return [
        JobUploads(run, provider, tuple(found))
        for provider, uploads in _uploads(run)
        if (found := find_uploads(uploads, runs))
    ]


def remove_run_uploads(run: str, *, ended: bool = False, outputs: bool = False) -> None:
    """Remove what only this run has uploaded and uses; errors as of `list_uploads`.

    Args:
        run: The run.
        ended: Whether its jobs are known to have ended, whatever the ledger says.
        outputs: Whether to remove what its trials wrote, too.
    """
    for _, uploads in _uploads(run, ended=ended):
        remove_uploads(uploads, run, outputs=outputs)


def _uploads(run: str, *, ended: bool = False) -> Iterator[tuple[str, Uploads]]:
    with Ledger() as ledger:
        if not ledger.has_run(run):  # a folder that a killed process left
            return
        for job in ledger.run(run).jobs:
            location = job.facts.emulator
            if job.emulated and not is_emulator_running(location):  # the uploads ended with it
                continue
            if job.attached:  # the uploads belong to the run that sent it
                continue
            if job.may_run_at_service and not ended:
                raise UsageError(
                    f"{job.provider} may still run {job.job}, which uses its uploads; stop it "
                    f"with: cloudtune stop {run}; or follow it with: cloudtune resume {run}"
                )
            plan, provider = restore_plan(job.plan), registry.get(job.provider)
            emulator = (
                reconnect(job.provider, provider, plan.settings, location) if location else None
            )
            context = JobContext(ledger.job_folder(run, job.provider), emulator)
            if uploads := provider.uploads(plan, context):
                yield job.provider, uploads


def is_emulator_running(location: str | None) -> bool:
    """Return whether an emulator that a run did not start may still run."""
    if not location:
        return False
    if "://" not in location:
        return running_emulator(Path(location)) is not None
    address = urlsplit(location)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError:  # it may be too busy to answer
        return True
    return True
