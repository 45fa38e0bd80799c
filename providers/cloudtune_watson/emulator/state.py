"""What the services remember: jobs, trainings and searches.

Training jobs and executions of a search are both jobs; each service has its own words for their
states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.emulator_kit import Json
from cloudtune.emulator_kit import state as kit
from cloudtune_watson.contract import Measurement, MetricFiles, Start
from cloudtune_watson.emulator.rules.search import METRIC
from cloudtune_watson.emulator.storage import Scope

SUBMITTED, RUNNING, FINISHED = "SUBMITTED", "RUNNING", "FINISHED"
FAILED, STOPPED = "FAILED", "STOPPED"


@dataclass(frozen=True)
class Script:
    """A script whose container exists."""

    start: Start
    written: MetricFiles


@dataclass
class Job(kit.ScriptJob):
    """One run of a script."""

    RUNNING = "running"
    FINAL = frozenset({"completed", "failed", "stopped"})

    id: str
    log: Path
    """The script's output."""
    prepare: Callable[[], Script]
    """Creates its container, again after an interruption; raises InvalidSpecError or OSError."""
    live: bool
    """Whether the service reads metrics while the script runs, or only at its end."""
    queued: Callable[[], bool] | None = None
    """Returns whether it waits for other jobs; None if it never does."""
    restarts: bool = True
    """Whether it starts again after an interruption."""
    keep: Callable[[], None] | None = None
    """Keeps the results of a script that has ended without an error; may raise `OSError`."""
    payload: Path | None = None
    """The file with its request, which can have secrets; deleted when the script has ended."""
    state: str = field(default="waiting", kw_only=True)
    """``waiting``, ``running``, ``storing``, ``completed``, ``failed`` or ``stopped``."""
    reason: str = ""
    """Why it failed."""
    measurements: list[Measurement] = field(default_factory=list[Measurement])

    def enter(self, state: str, reason: str = "") -> None:
        """Enter a state; ``failed`` with its reason."""
        super().enter(state)
        self.reason = reason


@dataclass
class Training:
    """A training job of Watson Machine Learning."""

    scope: Scope
    request: Json
    job: Job


@dataclass
class Experiment:
    """A trial of a search, which is one execution."""

    id: int
    params: list[Json]
    """In the service's form."""
    job: Job
    driver: str

    def values(self, metric: str) -> list[float]:
        """Return the measured values of a metric, in order."""
        return [each.metrics[metric] for each in self.job.measurements if metric in each.metrics]


@dataclass
class Search(kit.Job):
    """A search."""

    RUNNING = RUNNING
    FINAL = frozenset({FINISHED, FAILED, STOPPED})

    name: str
    data: Json
    """The request."""
    archive: Path
    file_name: str
    state: str = field(default=SUBMITTED, kw_only=True)
    experiments: list[Experiment] = field(default_factory=list[Experiment])

    @property
    def algorithm(self) -> Json:
        """Its ``algoDef``."""
        algorithm: Json = self.data["algoDef"]
        return algorithm

    @property
    def sign(self) -> int:
        """The factor by which lower scores are better."""
        return 1 if self.algorithm["objective"].lower() == "minimize" else -1

    def score(self, experiment: Experiment) -> float | None:
        """Return the objective of a completed experiment; None if it has none."""
        values = experiment.values(self.algorithm[METRIC])
        if experiment.job.state != "completed" or not values:
            return None
        return self.sign * min(self.sign * value for value in values)
