"""Removing runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder


def find_removable_runs(runs: Sequence[str] = ()) -> list[str]:
    """Return the IDs of the runs that no process executes, of all or of some runs.

    Raises:
        UsageError: If there is no such run, or one that is named is running.
    """
    with Ledger() as ledger:
        ids = [ledger.find_run_id(run) for run in runs] if runs else ledger.run_ids()
        running = {run for run in ids if lock_holder(ledger.run_folder(run)) is not None}
    if runs and running:
        raise UsageError(f"{', '.join(sorted(running))} is running; stop it with `cloudtune stop`")
    return [run for run in ids if run not in running]


def remove_run(run: str) -> Path | None:
    """Remove a run with its files and results; return its folder if some files are left.

    Raises:
        LedgerError: If a process executes the run.
    """
    with Ledger() as ledger:
        run_folder = ledger.run_folder(run)
        with RunLock(run_folder):
            ledger.remove_run(run)
    shutil.rmtree(run_folder, ignore_errors=True)
    return run_folder if run_folder.exists() else None
