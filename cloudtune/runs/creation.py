"""Marks the folder of a run that is being created, so that a kill leaves nothing that cannot go."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cloudtune.errors import UsageError
from cloudtune.ledger.home import INCOMPLETE
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder


@contextmanager
def creation_lock(ledger: Ledger, run: str) -> Generator[None]:
    """Hold the right to create a run in the block, and remove its files if the block fails.

    The files that a killed process left are removed first.

    Raises:
        UsageError: If the run exists, or another process creates it.
    """
    folder = ledger.run_folder(run)
    ledger.require_new(run)
    if creator := run_creator(folder):
        raise UsageError(f"run {run} is being created by {creator}")
    if (folder / INCOMPLETE).exists():
        shutil.rmtree(folder)
    with RunLock(folder / INCOMPLETE):
        try:
            yield
        except BaseException:
            if not ledger.has_run(run):
                shutil.rmtree(folder, ignore_errors=True)
            raise
    remove_creation_mark(folder)


def remove_creation_mark(folder: Path) -> None:
    """Remove what marks a folder of an incomplete run; a killed process can have left it."""
    shutil.rmtree(folder / INCOMPLETE, ignore_errors=True)


def run_creator(folder: Path) -> str | None:
    """Return the process that creates the run in a folder, for messages; None if none does."""
    return lock_holder(folder / INCOMPLETE)


def lost_runs(ledger: Ledger) -> dict[str, bool]:
    """Return the run folders that the ledger does not know, and whether each never was a run.

    A process that creates a run and is killed leaves such a folder. The others were runs, which the
    ledger has lost.
    """
    folders = {name: ledger.run_folder(name) for name in ledger.unknown_folders()}
    return {
        name: (folder / INCOMPLETE).exists()
        for name, folder in folders.items()
        if run_creator(folder) is None
    }
