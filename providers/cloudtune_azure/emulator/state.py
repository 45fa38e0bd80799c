"""What the emulated workspace remembers of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune.emulator_kit import state as kit

STARTING, QUEUED, RUNNING = "Starting", "Queued", "Running"
CANCEL_REQUESTED, CANCELED = "CancelRequested", "Canceled"
COMPLETED, FAILED = "Completed", "Failed"


@dataclass
class Described(kit.Job):
    """A job by its request."""

    RUNNING = RUNNING
    FINAL = frozenset({COMPLETED, FAILED, CANCELED})

    name: str
    workspace: str
    """The id of the workspace, which begins the paths of its resources."""
    request: Json
    """The properties of the request."""
    error: tuple[str, str] | None = field(default=None, kw_only=True)
    """The code and the text of a failure."""

    def fail(self, code: str, message: str) -> None:
        """Enter the state Failed."""
        self.error = code, message
        self.enter(FAILED)


@dataclass
class Sweep(Described):
    """A sweep, whose children are command jobs."""

    state: str = field(default=RUNNING, kw_only=True)
    trials: list[Job] = field(default_factory=list["Job"])
    all_generated: bool = False
    """Whether all values are drawn."""
    cancellation_requested: bool = False

    @property
    def metric(self) -> str:
        """The name of the primary metric."""
        return str(self.request["objective"]["primaryMetric"])


@dataclass
class Job(Described, kit.ScriptJob):
    """A command job, with its run in MLflow."""

    folder: Path
    log: Path
    state: str = field(default=STARTING, kw_only=True)
    metrics: list[Json] = field(default_factory=list[Json])
    """All values in MLflow, in the order of their arrival."""
    seen: int = 0
    """How many of the values its sweep has seen."""
    sweep: Sweep | None = None
    values: Json = field(default_factory=dict[str, Any])
    """The values of the parameters of its sweep."""
    seconds: float | None = None
    """The time limit of a trial of a sweep."""
    run_tags: dict[str, str] = field(default_factory=dict[str, str])
    """The tags that were set in MLflow."""
    run_params: dict[str, str] = field(default_factory=dict[str, str])
    """The parameters that the script has logged to MLflow."""

    @property
    def reports(self) -> int:
        """The number of reports in MLflow: values with the same time belong to one."""
        return len({each["timestamp"] for each in self.metrics})
