"""The folder of one trial, by what lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
