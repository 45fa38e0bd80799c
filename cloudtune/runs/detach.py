"""Runs in the background, and managed jobs that continue without a process here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence

from cloudtune.errors import CloudtuneError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.records import RunRecord


def resume_detached(run: str, on: Sequence[str] = ()) -> None:
    """Resume the jobs of a run, on some providers or all, in a new background process.

    Return once that executes the run or has ended it.

    Raises:
        CloudtuneError: If the process fails to start; the message has its output.
    """
    with Ledger() as ledger:
        run_folder = ledger.run_folder(run)
    options = [word for name in on for word in ("--on", name)]
    run_folder.mkdir(parents=True, exist_ok=True)
    log_file = run_folder / "progress.log"
    with log_file.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cloudtune", "resume", run, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CLOUDTUNE_HOME": str(run_folder.parent.parent)},
        )
    while lock_holder(run_folder) is None and process.poll() is None:
        time.sleep(0.02)
    if process.poll():
        output = log_file.read_bytes()[log_start:].decode("utf-8", "replace")
        raise CloudtuneError(f"the background process failed to start:\n{output}")
    process.returncode = 0  # avoids a ResourceWarning: the process keeps running


def resume_unattended(ledger: Ledger, record: RunRecord, on: Collection[str] = ()) -> list[str]:
    """Resume managed jobs that may continue without a process here, and return their providers.

    These are submitted jobs without a known end, on some providers or all. If a process executes
    the run, there are none.

    Raises:
        CloudtuneError: If the background process fails to start.
    """
    providers = [
        job.provider
        for job in record.jobs
        if job.may_run_at_service
        if not on or job.provider in on
    ]
    if not providers or lock_holder(ledger.run_folder(record.id)) is not None:
        return []
    resume_detached(record.id, providers)
    return providers
