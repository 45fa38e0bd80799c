"""The seam: what a provider is to the core.

A provider is data (capabilities), pure functions (rules, request) and one or two ways to reach its
service: a `JobClient` for managed jobs, a `TrialRunner` for driven ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import Capabilities
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.provider.models import (
    Interrupted,
    JobContext,
    JobRef,
    JobStatus,
    Lost,
    ProviderSettings,
    Recovered,
    TrainingJob,
)
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan


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


class TrialRunner(Protocol):
    """Runs single trials; tells what they report and how they end to the `Emit` it was made with.

    Each start is followed by exactly one `Ended`, with ``completed`` or ``failed`` as the process
    or the service sees it, or ``cancelled`` where it was lost through no fault of its script and is
    to be asked again, unless all are `Lost`; what a stop means is the driver's to say. For a
    service's training jobs there is one: `cloudtune.engine.job_poller.JobPoller`.
    """

    @property
    def enforces_trial_timeout(self) -> bool:
        """Whether the service itself ends a trial at its ``trial_timeout``, by its own clock."""
        ...

    def job_name(self, number: int, start: int) -> str | None:
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

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return what became of the trials that an earlier, killed process interrupted running."""
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

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the training job of a trial's start. Pure; no two are the same."""
        ...

    def create(self, started: Started) -> None:
        """Create the training job of a start, under the name ``started.id``.

        One of this name that is there already, as after an answer that was lost, is taken for it if
        it is of this run, and refused if not.
        """
        ...

    def poll(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        """Return how the training jobs of starts stand, by name; those that are not there lack."""
        ...

    def stop(self, name: str) -> None:
        """Ask a training job to end. Asking twice, or for an ended job, changes nothing."""
        ...


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
    def protected_paths(self) -> Sequence[str]:
        """The paths of a request, with dots, that ``native`` may not replace."""
        ...

    def lookup(self, study: Study, settings: Any, facts: Facts) -> Mapping[str, Any]:
        """Return what this provider must know before planning, as JSON data for `Facts.own`.

        Nothing is asked of the service: what cannot be known so is a visible stand-in. Under
        ``facts.emulated`` whatever the study leaves out has one, and no real profile is read.
        """
        ...

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: Any, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return what only this service refuses or does otherwise. Pure."""
        ...

    def request(self, fitted: FittedStudy, mode: Mode, settings: Any, facts: Facts) -> Json:
        """Return the service's request in its own spelling. Pure and total: it adds no finding."""
        ...

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return what reaches the managed service.

        Raises:
            MissingExtraError: If its SDK is not installed.
            ProviderError: If it has no managed mode or cannot be reached.
        """
        ...

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, say: Callable[[str], None]
    ) -> TrialRunner:
        """Return what runs single trials from the driven mode's request.

        Args:
            plan: Of the job.
            context: The folder and the emulator of the job.
            emit: Is told what trials do.
            say: Is told what trials wait for, where that is worth a line.

        Raises:
            MissingExtraError: If its SDK is not installed.
            ProviderError: If it has no driven mode or cannot be reached.
        """
        ...


class Emit(Protocol):
    """Takes what a runner saw; may be called from any thread."""

    def __call__(self, *events: Measured | Ended | Lost, inline: bool = False) -> None:
        """Take events, in their order.

        With ``inline`` the calling thread has nothing else to do and holds no lock: before this
        returns, the next trial may be chosen in it, and the runner's `start` and `stop` called.
        Never so from within those.
        """
        ...
