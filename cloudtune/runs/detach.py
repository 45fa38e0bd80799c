"""Runs that go on without a terminal, and jobs that go on at a service without anybody here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cloudtune.errors import CloudtuneError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.records import RunRecord


def resume_detached(run: str, on: Sequence[str] = (), folder: Path | None = None) -> None:
    """Let a process of its own go on with a run; return once it does, or has already ended it.

    Args:
        run: The run's id.
        on: The providers whose jobs go on; all when left out.
        folder: The state folder.

    Raises:
        CloudtuneError: If it could not be started; the message holds what it said.
    """
    with Ledger(folder or state_folder()) as ledger:
        place = ledger.run_folder(run)
    chosen = [word for name in on for word in ("--on", name)]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "progress.log").open("ab") as log:
        said_before = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "cloudtune", "resume", run, *chosen],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CLOUDTUNE_HOME": str(place.parent.parent)},
        )
    while lock_holder(place) is None and process.poll() is None:
        time.sleep(0.02)
    if process.poll():
        said = (place / "progress.log").read_bytes()[said_before:].decode("utf-8", "replace")
        raise CloudtuneError(f"the run could not be started in the background:\n{said}")
    process.returncode = 0  # it goes on, and nobody waits for it


def unattended_jobs(record: RunRecord) -> list[str]:
    """Return the providers at which jobs of a run that nobody holds may go on by themselves.

    These are managed ones that were made and of which no end is known.
    """
    return [
        job.provider
        for job in record.jobs
        if job.state in {"running", "unknown"} and job.job and job.plan["mode"] == "managed"
    ]
