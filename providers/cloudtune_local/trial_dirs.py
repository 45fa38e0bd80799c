"""Folders made for trials that are still to come, so that none waits for its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue


class SpareFolders:
    """Makes folders beside those of the trials, and moves one to where a trial wants it.

    Between the end of a trial and the start of the next one its place stands idle; a copy of the
    source is most of what is done in that time. Any thread may call.
    """

    def __init__(self, place: Path, make: Callable[[TrialFolder], None]) -> None:
        """Prepare; what an earlier process left behind is removed.

        Args:
            place: Where the folders wait, in the file system of the trials.
            make: Makes a folder with what every trial finds in it.
        """
        self._place = place
        self._make = make
        self._ready: SimpleQueue[str] = SimpleQueue()
        self._numbers = iter(range(1, 2**63))
        self.clear()

    def add(self) -> None:
        """Make one more folder; where that fails, the start that lacks it says why."""
        folder = TrialFolder(f"{self._place}/{next(self._numbers)}")
        with suppress(OSError):
            self._make(folder)
            self._ready.put(folder.path)

    def take(self, target: str) -> bool:
        """Move a folder to a place that is still free, and tell whether there was one to move."""
        try:
            os.rename(self._ready.get_nowait(), target)  # noqa: PTH104 - microseconds count
        except (Empty, OSError):
            return False
        return True

    def clear(self) -> None:
        """Remove the folders that no trial came for."""
        self._ready = SimpleQueue()
        shutil.rmtree(self._place, ignore_errors=True)


@dataclass(frozen=True)
class TrialFolder:
    """Where the files of one trial are."""

    path: str

    @property
    def work(self) -> str:
        """Its own copy of the source, in which it runs."""
        return f"{self.path}/work"

    @property
    def log(self) -> str:
        """What it printed."""
        return f"{self.path}/log.txt"

    @property
    def reports(self) -> str:
        """What it reported."""
        return f"{self.path}/reports.jsonl"

    @property
    def checkpoint(self) -> str:
        """What it saved to go on from."""
        return f"{self.path}/checkpoint"

    @property
    def output(self) -> str:
        """What it produced."""
        return f"{self.path}/output"

    @property
    def trial_file(self) -> str:
        """What it is told of itself."""
        return f"{self.path}/trial.json"


def trial_folder(job: Path, number: int) -> TrialFolder:
    """Return where the files of a trial are in the folder of its job."""
    return TrialFolder(f"{job}/trials/{number}")
