"""The folders of trials, and spare ones that are created in advance."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue


class TrialFolder:
    """The paths of the files of one trial."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.work = f"{path}/work"
        """The working folder, with a copy of the source, or with what the trial changed of it."""
        self.log = f"{path}/log.txt"
        """The output of the script."""
        self.reports = f"{path}/reports.jsonl"
        """The reported metrics."""
        self.checkpoint = f"{path}/checkpoint"
        self.output = f"{path}/output"
        """The artifacts of the script."""
        self.trial_file = f"{path}/trial.json"
        """The trial's parameters and paths, as ``cloudtune.trial`` reads them."""


def trial_folder(job: Path, number: int) -> TrialFolder:
    """Return the folder of a trial in the folder of its job."""
    return TrialFolder(f"{job}/trials/{number}")


class SpareFolders:
    """Creates folders for future trials and moves one into place when a trial starts.

    Copying the source is most of the work between the end of one trial and the start of the next,
    so it is done in advance. Methods may be called from any thread.
    """

    def __init__(self, folder: Path, create: Callable[[TrialFolder], None]) -> None:
        """Remove the spare folders of an earlier process.

        `folder` is on the file system of the trials. `create` creates what they have in common.
        """
        self._folder = folder
        self._create = create
        self._ready: SimpleQueue[str] = SimpleQueue()
        self._numbers = count(1)
        self.clear()

    def add(self) -> None:
        """Create a spare folder. Ignore errors: the start of the trial meets them again."""
        folder = TrialFolder(f"{self._folder}/{next(self._numbers)}")
        with suppress(OSError):
            self._create(folder)
            self._ready.put(folder.path)

    def take(self, target: str) -> bool:
        """Move a spare folder to a path that does not exist; return whether there was one."""
        try:
            os.rename(self._ready.get_nowait(), target)  # noqa: PTH104 - microseconds count
        except (Empty, OSError):
            return False
        return True

    def clear(self) -> None:
        """Remove the spare folders."""
        self._ready = SimpleQueue()
        shutil.rmtree(self._folder, ignore_errors=True)
