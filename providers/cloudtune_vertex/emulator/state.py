"""What the service remembers: jobs by their names, what they were asked to do, their state."""

from __future__ import annotations

import math
import secrets
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from cloudtune.emulator_kit import Json, Value
from cloudtune.emulator_kit import state as kit
from cloudtune_vertex.contract import Measurement
from cloudtune_vertex.emulator.errors import not_found

QUEUED = "JOB_STATE_QUEUED"
PENDING = "JOB_STATE_PENDING"
RUNNING = "JOB_STATE_RUNNING"
SUCCEEDED = "JOB_STATE_SUCCEEDED"
FAILED = "JOB_STATE_FAILED"
CANCELLING = "JOB_STATE_CANCELLING"
CANCELLED = "JOB_STATE_CANCELLED"
EXPIRED = "JOB_STATE_EXPIRED"


@dataclass(frozen=True)
class Status:
    """A google.rpc.Status: why a job did not succeed."""

    code: int
    message: str


@dataclass(frozen=True)
class Parent:
    """A project in a location, the parent of jobs."""

    project: str
    """Its number, which the names of resources have even if a request has its id."""
    location: str

    @property
    def name(self) -> str:
        """The first part of the names of its resources."""
        return f"projects/{self.project}/locations/{self.location}"


@dataclass
class Job(kit.Job):
    """What all kinds of jobs have."""

    RUNNING = RUNNING
    FINAL = frozenset({SUCCEEDED, FAILED, CANCELLED, EXPIRED})
    KIND: ClassVar[str]
    """The name of Google's type."""
    COLLECTION: ClassVar[str]
    """The part of resource names for these jobs."""

    name: str
    parent: Parent
    request: Json
    """The request, without fields that only the service sets."""
    state: str = field(default=PENDING, kw_only=True)
    error: Status | None = None
    start_time: float | None = None
    """When the service has queued it: ``startTime`` of all recorded jobs of 2026-07-08 that waited.
    One whose cancellation came late had a whole second later than that, so it may be set again when
    a job runs (tests/recordings/vertex)."""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    def enter(self, state: str, error: Status | None = None) -> None:
        """Enter a state; a final one with its error."""
        super().enter(state)
        self.error = error
        if state == QUEUED:
            self.start_time = self.updated
        elif state == RUNNING and self.started == self.updated:
            self.start_time = max(self.start_time or 0, math.floor(self.updated))


@dataclass
class CustomJob(Job, kit.ScriptJob):
    """A custom job: a client's own, or a trial's."""

    KIND = "CustomJob"
    COLLECTION = "customJobs"

    folder: Path = field(default_factory=Path)
    trial: str | None = None
    """The id of the trial, for a trial's job."""
    metrics: tuple[str, ...] = ()
    """The ids of the metrics that are read from the metric file, for a trial's job."""
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    ending: tuple[str, Status] | None = None
    """The final state and error, once the job is asked to end."""

    @property
    def spec(self) -> Json:
        """The CustomJobSpec."""
        spec: Json = self.request["jobSpec"]
        return spec

    @property
    def scheduling(self) -> Json:
        """Its limits, and what happens when its machine is lost."""
        scheduling: Json = self.spec.get("scheduling", {})
        return scheduling


@dataclass
class Trial:
    """A trial of a tuning job."""

    number: int
    parameters: Mapping[str, Value]
    job: CustomJob
    state: str = "ACTIVE"
    started: float = field(default_factory=time.time)
    ended: float | None = None
    final: Measurement | None = None
    counts_stopped: bool = False
    """Whether the study stopped it, so that its measurements count."""
    failed: bool = False
    """Whether it is infeasible and was not stopped early."""
    reason: str = ""
    """Why it is infeasible."""


@dataclass
class TuningJob(Job):
    """A tuning job."""

    KIND = "HyperparameterTuningJob"
    COLLECTION = "hyperparameterTuningJobs"

    trials: list[Trial] = field(default_factory=list[Trial])
    trials_of_2021: bool = False
    """Whether its trials have the only form that was recorded; not known is whether it is gone."""

    @property
    def study(self) -> Json:
        """The StudySpec."""
        spec: Json = self.request["studySpec"]
        return spec

    @property
    def metrics(self) -> tuple[str, ...]:
        """The ids of its metrics."""
        return tuple(metric["metricId"] for metric in self.study["metrics"])


@dataclass
class TrainingPipeline(Job):
    """A training pipeline: a custom job under another name, in the states of pipelines."""

    RUNNING = "PIPELINE_STATE_RUNNING"
    FINAL = frozenset(f"PIPELINE_STATE_{word}" for word in ("SUCCEEDED", "FAILED", "CANCELLED"))
    KIND = "TrainingPipeline"
    COLLECTION = "trainingPipelines"

    job: CustomJob = field(kw_only=True)
    """The job that it has created."""
    model: str | None = None
    """The name of the model that it has uploaded."""
    problem: Status | None = None
    """Why it fails although its job has succeeded."""

    def refresh(self) -> None:
        """Take over the state of its job; pipelines have no EXPIRED (types, PipelineState)."""
        job = self.job
        state = FAILED if job.state == EXPIRED else job.state
        self.state = state.replace("JOB_STATE", "PIPELINE_STATE")
        self.updated, self.start_time, self.ended = job.updated, job.start_time, job.ended
        self.error = job.error
        if self.problem is not None:
            self.state, self.error = "PIPELINE_STATE_FAILED", self.problem


StoredJob = CustomJob | TuningJob | TrainingPipeline
AnyJob = TypeVar("AnyJob", CustomJob, TuningJob, TrainingPipeline)


class Store:
    """All jobs, and the lock under which they change."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._jobs: dict[str, StoredJob] = {}

    def new_name(self, parent: Parent, kind: type[Job]) -> str:
        """Return an unused name; as at the service it ends in a random number."""
        return f"{parent.name}/{kind.COLLECTION}/{new_number()}"

    def add(self, job: StoredJob) -> None:
        """Add a job."""
        self._jobs[job.name] = job

    def get(self, kind: type[AnyJob], name: str) -> AnyJob:
        """Return a job by its name, which has the project's number or its id.

        Raises:
            ServiceError: If it does not exist.
        """
        job = self._jobs.get(full_name(name))
        if not isinstance(job, kind):
            raise not_found(f"The {kind.KIND} does not exist.")
        if isinstance(job, TrainingPipeline):
            job.refresh()
        return job

    def jobs(self, kind: type[AnyJob], parent: Parent) -> list[AnyJob]:
        """Return the jobs of a parent, newest first, without the custom jobs of trials."""
        for job in self._jobs.values():
            if isinstance(job, TrainingPipeline):
                job.refresh()
        jobs = [
            job
            for job in self._jobs.values()
            if isinstance(job, kind)
            and job.parent == parent
            and not (isinstance(job, CustomJob) and job.trial is not None)
        ]
        return jobs[::-1]

    def pipelines(self) -> list[TrainingPipeline]:
        """Return the training pipelines of all parents."""
        return [job for job in self._jobs.values() if isinstance(job, TrainingPipeline)]

    def delete(self, job: StoredJob) -> None:
        """Remove a job."""
        self._jobs.pop(job.name, None)


def new_number() -> int:
    """Return a random number, as the names of resources end in."""
    return secrets.randbelow(9 * 10**18) + 10**18


def full_name(name: str) -> str:
    """Return a name with the number of its project instead of the ID."""
    return "/".join([parent_of(name).name, *name.split("/")[4:]])


def parent_of(name: str) -> Parent:
    """Return the parent with the name ``projects/P/locations/L``.

    The service returns the project's number, even if a request has its id.
    """
    _, project, _, location = name.split("/")[:4]
    number = project if project.isdecimal() else str(10**11 + zlib.crc32(project.encode()))
    return Parent(number, location)
