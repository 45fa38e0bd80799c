"""The seam: what a provider is to the core.

A provider is data (capabilities), pure functions (rules, request) and one or two ways to reach its
service: a `JobClient` for managed jobs, a `TrialRunner` for driven ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from cloudtune.engine.inbox import Emit
from cloudtune.fitting.capabilities import Capabilities, Finding, Mode, Note
from cloudtune.fitting.fit import Fitted
from cloudtune.results.events import JobState, Measured, Started, TrialState
from cloudtune.results.model import Measurement
from cloudtune.study.schema import Limits, Study
from cloudtune.study.search_space import Value

if TYPE_CHECKING:
    from cloudtune.planning.planner import Plan

Json = dict[str, Any]


class ProviderSettings(BaseModel):
    """What stands under ``providers.<name>`` for every provider; each adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["auto", "managed", "driven"] = Field(
        "auto", description="Whose tuner chooses the trials."
    )
    limits: Limits | None = Field(None, description="Limits for this provider alone.")


class CloudSettings(ProviderSettings):
    """What stands under ``providers.<name>`` for every provider that sends a request."""

    native: dict[str, Any] = Field(
        default={}, description="Put over the request that is sent, in the service's own spelling."
    )


@dataclass(frozen=True)
class Parent:
    """A finished trial of an earlier run that a warm start builds on."""

    parameters: Mapping[str, Value]
    objective: tuple[float, ...]
    """One value an objective of the study that is planned."""


@dataclass(frozen=True)
class Facts:
    """What a plan needs from outside, gathered before it is made."""

    run_id: str
    job_name: str
    seed: int
    base: Path
    """The folder against which the study's relative paths are read."""
    source: Path | None = None
    """The folder that is bundled; None where no code is sent."""
    source_hash: str | None = None
    """Hash of the bundled files."""
    parents: Sequence[Parent] = ()
    """The trials of the warm start that cloudtune knows."""
    parent_jobs: Sequence[str] = ()
    """What this provider calls the jobs of the warm start."""
    emulated: bool = False
    """Whether the job runs on the provider's emulator on this machine."""
    own: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What this provider looked up: account, bucket, image, interpreter. JSON data.

    The core reads some, where they are known: the price of a trial, as
    `cloudtune.provider.cost.price_facts` puts it; ``longest_trial``, the seconds after which the
    service ends a trial; ``timeout_ends_trials``, the modes in which it does so at the study's
    timeout; ``own_limits``, whether ``native`` has limits; and by mode ``links``, where people look
    at the job, and ``job_links``, the same with ``{job}`` for the end of a known job's id. It finds
    fault with
    ``missing``, the settings that nobody gave, each with what to do about it, and with what
    `cloudtune.provider.lookup` returns of the study's files, inputs and variables.
    """

    @property
    def price_per_second(self) -> float | None:
        """What a second of one trial costs, if that is known."""
        price: float | None = self.own.get("price_per_second")
        return price


@dataclass(frozen=True)
class JobRef:
    """A job at a provider, as the ledger keeps it."""

    provider: str
    id: str
    """What the service calls the job."""


_FINAL = frozenset({"completed", "stopped_early", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """How one training job stands, as its service tells it."""

    state: TrialState
    """With ``ended`` given, ``unknown`` says that it is over and nobody knows how."""
    word: str
    """The service's own word for the state."""
    stopping: bool = False
    """Whether it was asked to end and has not yet."""
    measurements: Sequence[Measurement] = ()
    """All that are known so far, in an order that stays as it is when there are more."""
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    """Why it failed or was stopped."""
    billed_seconds: float | None = None
    machine: str | None = None
    """What it runs on, as the service calls it."""
    log: str | None = None
    """Where people read what it printed."""
    artifacts: str | None = None
    """Where what it produced is."""

    @property
    def over(self) -> bool:
        """Whether nothing more will be known of it."""
        return self.state in _FINAL or (self.state == "unknown" and self.ended is not None)


@dataclass(frozen=True, kw_only=True)
class RawTrial(TrainingJob):
    """A trial as a managed service tells it: its parameters in the service's own values."""

    number: int
    """Counted from 1 in the order in which the service made them."""
    id: str
    """What the service calls it."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class JobStatus:
    """How a managed job stands."""

    state: JobState
    word: str
    """The service's own word for the state."""
    reason: str = ""
    trials: Sequence[RawTrial] = ()
    """Every trial that the service tells of, values as it spells them."""
    remark: str = ""
    """What is missing in this, and why, if it is worth a line; told once."""


class JobClient(Protocol):
    """Reaches a service that runs its own tuner. Every call may raise `ProviderError`."""

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at a job."""
        ...

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found yet; 0 where names are unique."""
        ...

    def submit(self, request: Json) -> JobRef:
        """Create the job that a request describes."""
        ...

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an earlier, interrupted submit created under this name, if it did."""
        ...

    def status(self, job: JobRef) -> JobStatus:
        """Return how the job and its trials stand; one that is not there any more has failed."""
        ...

    def stop(self, job: JobRef) -> None:
        """Ask the service to end the job. Asking twice, or for an ended job, changes nothing."""
        ...


@dataclass(frozen=True)
class Interrupted:
    """A trial that an earlier, killed process left running."""

    started: Started
    """Its last start."""
    measured: int
    """How many measurements of that start are known."""
    measured_before: int
    """How many measurements of its earlier starts are known."""


@dataclass(frozen=True)
class Recovered:
    """What became of the trials that an earlier, killed process left running."""

    measured: Sequence[Measured] = ()
    """What they reported that nobody took note of, in order."""
    running: Set[int] = frozenset()
    """Those that go on: they are followed to their `Ended` as after a start."""


class TrialRunner(Protocol):
    """Runs single trials; tells what they report and how they end to the `Emit` it was made with.

    Each start is followed by exactly one `Ended`, with ``completed`` or ``failed`` as the process
    or the service sees it, or ``cancelled`` where it was lost through no fault of its script and is
    to be asked again, unless all are `Lost`; what a stop means is the driver's to say. For a
    service's training jobs there is one: `cloudtune.engine.job_poller.Poller`.
    """

    @property
    def times_trials(self) -> bool:
        """Whether the service itself ends a trial at its ``trial_timeout``, by its own clock."""
        ...

    def name_of(self, number: int, start: int) -> str | None:
        """Return what the service will call a start of a trial, so that it is known beforehand.

        Args:
            number: The trial's.
            start: Which of its starts, from 1.
        """
        ...

    def start(self, started: Started) -> None:
        """Start a trial, or start it again with more of its resource and what it had saved."""
        ...

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end: gracefully, or at once with ``now``. An ended one is left alone."""
        ...

    def recover(self, left: Sequence[Interrupted]) -> Recovered:
        """Return what became of the trials that an earlier, killed process left running."""
        ...

    def close(self) -> None:
        """End everything that still runs, at once, and let go of what was held."""
        ...


class TrainingJobs(Protocol):
    """The training jobs of one run at a service. Every call may raise `ProviderError`."""

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at jobs."""
        ...

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found yet; 0 where names are unique."""
        ...

    def name_of(self, number: int, start: int) -> str:
        """Return the name of the training job of a trial's start. Pure; no two are the same."""
        ...

    def create(self, started: Started) -> None:
        """Create the training job of a start, under the name ``started.id``.

        One of this name that is there already, as after an answer that was lost, is taken for it if
        it is of this run, and refused if not.
        """
        ...

    def look(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        """Return how the training jobs of starts stand, by name; those that are not there lack."""
        ...

    def stop(self, name: str) -> None:
        """Ask a training job to end. Asking twice, or for an ended job, changes nothing."""
        ...


@dataclass(frozen=True)
class Emulator:
    """A service's emulator on this machine."""

    url: str
    key: str
    """What every request to it must show."""
    certificate: Path | None = None
    """What its clients trust, where it speaks HTTPS."""


@dataclass(frozen=True)
class Place:
    """Where one job is at home."""

    folder: Path
    """The job's own folder in the state folder; exists. Where code is sent, a copy of it as it was
    when the run began is in its folder ``source``."""
    emulator: Emulator | None = None
    """Where it is given, nothing else is reached, and no real credential is read."""


class Provider(Protocol):
    """One tuning service, or this machine."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, in which modes."""
        ...

    @property
    def settings(self) -> type[ProviderSettings]:
        """The model of ``providers.<name>`` in the study."""
        ...

    @property
    def emulator(self) -> str | None:
        """The module that serves the service's API on this machine; None if there is none."""
        ...

    @property
    def packages(self) -> Mapping[str, Sequence[str]]:
        """The modules that a run imports beside the core's, by the extra that brings them.

        Those of the extra ``emulators`` are for emulated runs alone.
        """
        ...

    @property
    def kept(self) -> Sequence[str]:
        """The paths of a request, with dots, that ``native`` may not replace."""
        ...

    def lookup(self, study: Study, settings: Any, facts: Facts) -> Mapping[str, Any]:
        """Return what this provider must know before planning, as JSON data for `Facts.own`.

        Nothing is asked of the service: what cannot be known so is a visible stand-in. Under
        ``facts.emulated`` whatever the study leaves out has one, and no real profile is read.
        """
        ...

    def rules(
        self, fitted: Fitted, mode: Mode, settings: Any, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return what only this service refuses or does otherwise. Pure."""
        ...

    def request(self, fitted: Fitted, mode: Mode, settings: Any, facts: Facts) -> Json:
        """Return the service's request in its own spelling. Pure and total: it adds no finding."""
        ...

    def client(self, plan: Plan, place: Place) -> JobClient:
        """Return what reaches the managed service.

        Raises:
            MissingExtraError: If its SDK is not installed.
            ProviderError: If it has no managed mode or cannot be reached.
        """
        ...

    def runner(
        self, plan: Plan, place: Place, emit: Emit, say: Callable[[str], None]
    ) -> TrialRunner:
        """Return what runs single trials from the driven mode's request.

        Args:
            plan: Of the job.
            place: Where it is at home.
            emit: Is told what trials do.
            say: Is told what trials wait for, where that is worth a line.

        Raises:
            MissingExtraError: If its SDK is not installed.
            ProviderError: If it has no driven mode or cannot be reached.
        """
        ...
