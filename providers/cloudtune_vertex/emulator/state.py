"""The jobs as the service keeps them: what they were asked to do, and how they stand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from cloudtune.emulation.faults import Fault
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value
from cloudtune_vertex.contract import Measurement

PENDING = "JOB_STATE_PENDING"
RUNNING = "JOB_STATE_RUNNING"
SUCCEEDED = "JOB_STATE_SUCCEEDED"
FAILED = "JOB_STATE_FAILED"
CANCELLING = "JOB_STATE_CANCELLING"
CANCELLED = "JOB_STATE_CANCELLED"
EXPIRED = "JOB_STATE_EXPIRED"
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELLED, EXPIRED})


@dataclass(frozen=True)
class Status:
    """A google.rpc.Status: why a job ended other than well."""

    code: int
    message: str


@dataclass(frozen=True)
class Parent:
    """A project in a location, under which jobs are."""

    project: str
    """Its number, which the names of resources have whatever the request said."""
    location: str

    @property
    def name(self) -> str:
        """The first part of the names of its resources."""
        return f"projects/{self.project}/locations/{self.location}"


@dataclass
class Job:
    """What both kinds of jobs have. Changed under the lock of the store alone."""

    name: str
    parent: Parent
    request: Json
    """What was asked for, without what only the service says."""
    state: str = PENDING
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    error: Status | None = None
    stop_wanted: Event = field(default_factory=Event)

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    def enter(self, state: str, error: Status | None = None) -> None:
        """Go to another state."""
        self.state = state
        self.updated = time.time()
        if state == RUNNING and self.started is None:
            self.started = self.updated
        if state in TERMINAL:
            self.ended = self.updated
            self.error = error


@dataclass
class CustomJob(Job):
    """One custom job: somebody's own, or the one of a trial."""

    folder: Path = field(default_factory=Path)
    trial: str | None = None
    """Of a trial: its id."""
    metrics: tuple[str, ...] = ()
    """Of a trial: the ids of the metrics that are read from its metric file."""
    measured: list[Measurement] = field(default_factory=list[Measurement])
    fault: Fault | None = None
    ending: tuple[str, Status] | None = None
    """The state in which it will end once its script has, where it was asked to end."""

    @property
    def spec(self) -> Json:
        """The CustomJobSpec."""
        spec: Json = self.request["jobSpec"]
        return spec

    @property
    def scheduling(self) -> Json:
        """How long it may run, and what happens to it when its machine is lost."""
        found: Json = self.spec.get("scheduling", {})
        return found


@dataclass
class Trial:
    """One trial of a tuning job."""

    number: int
    parameters: Mapping[str, Value]
    job: CustomJob
    state: str = "ACTIVE"
    started: float = field(default_factory=time.time)
    ended: float | None = None
    final: Measurement | None = None
    counts_stopped: bool = False
    """Whether the study stopped it, so that what it has measured until then counts."""
    failed: bool = False
    """Whether it is infeasible, and nobody stopped it early."""
    reason: str = ""
    """Why it is infeasible."""


@dataclass
class TuningJob(Job):
    """One tuning job."""

    trials: list[Trial] = field(default_factory=list[Trial])

    @property
    def study(self) -> Json:
        """The StudySpec."""
        spec: Json = self.request["studySpec"]
        return spec

    @property
    def metrics(self) -> tuple[str, ...]:
        """The ids of its metrics."""
        return tuple(metric["metricId"] for metric in self.study["metrics"])
