"""Removing runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from cloudtune.emulation.process import find_running, stop
from cloudtune.errors import UsageError
from cloudtune.ledger.home import EMULATOR_FOLDER, INCOMPLETE, is_folder_name
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder
from cloudtune.runs.creation import lost_runs

_THREADS = 8
"""Threads that remove files. They mostly wait for the disk, and each works in its own folder."""


def find_removable_runs(runs: Sequence[str] = ()) -> list[str]:
    """Return the IDs of the runs that no process executes, of all or of some runs.

    All runs include those of which a killed process created only a part. A folder of a run that the
    ledger has lost must be named.

    Raises:
        UsageError: If there is no such run, or one that is named is running.
    """
    with Ledger() as ledger:
        lost = lost_runs(ledger)
        if runs:
            ids = [run if run in lost else ledger.find_run_id(run) for run in runs]
        else:
            ids = [
                *ledger.run_ids(),
                *(run for run, is_incomplete in lost.items() if is_incomplete),
            ]
        running = {
            run
            for run in ids
            if is_folder_name(run) and lock_holder(ledger.run_folder(run)) is not None
        }
    if runs and running:
        raise UsageError(f"{', '.join(sorted(running))} is running; stop it with `cloudtune stop`")
    return [run for run in ids if run not in running]


def remove_run(run: str) -> Path | None:
    """Remove a run with its files and results; return its folder if some files are left.

    A run whose id is no name of a folder has no files.

    Raises:
        LedgerError: If a process executes the run.
    """
    with Ledger() as ledger:
        if not is_folder_name(run):
            ledger.remove_run(run)
            return None
        run_folder = ledger.run_folder(run)
        with RunLock(run_folder), RunLock(run_folder / INCOMPLETE):
            for folder in run_folder.glob(f"*/{EMULATOR_FOLDER}"):
                if address := find_running(folder):  # of a job that was not resumed
                    stop(address)
            ledger.remove_run(run)
            for folder in run_folder.iterdir():
                if folder.is_dir() and folder.name != INCOMPLETE:  # the mark is removed last
                    remove_tree(folder)
            remove_tree(run_folder)
    return run_folder if run_folder.exists() else None


def remove_tree(folder: Path) -> None:
    """Remove a folder with its content, as far as possible.

    Folders that only their owner can make readable are made readable, as trials may leave them.
    Links are not followed.
    """
    folders: list[str] = []
    pending = [] if folder.is_symlink() else [str(folder)]
    with ThreadPoolExecutor(_THREADS) as threads:
        while pending:
            folders += pending
            listings: list[Future[list[str]]] = [threads.submit(_empty, each) for each in pending]
            pending = [inner for listing in listings for inner in listing.result()]
    for each in reversed(folders):
        with suppress(OSError):
            os.rmdir(each)  # noqa: PTH106 - Path is slow


def _empty(folder: str) -> list[str]:
    """Remove the files in a folder; return its folders."""
    inner: list[str] = []
    with suppress(OSError):
        if os.lstat(folder).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(folder, stat.S_IRWXU)  # noqa: PTH101
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)  # noqa: PTH108
    return inner
