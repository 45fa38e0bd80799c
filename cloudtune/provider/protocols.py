"""The ways to reach a service: a `JobClient` for managed jobs, `TrainingJobs` for driven ones.

A provider without training jobs has a `TrialRunner` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from cloudtune.provider.models import Interrupted, JobRef, JobStatus, Lost, Recovered, TrainingJob
from cloudtune.results.events import Observation, Started
from cloudtune.study.schema import Json


class PolledService(Protocol):
    """A service whose jobs are polled."""

    @property
    def poll_seconds(self) -> float:
        """Seconds between two polls of a job."""
        ...

    @property
    def hidden_seconds(self) -> float:
        """Seconds for which a new job may not be visible yet; 0 if job names are unique."""
        ...


class JobClient(PolledService, Protocol):
    """Reaches a service that runs its own tuner. Every call may raise `ProviderError`."""

    def submit(self, request: Json) -> JobRef:
        """Create the job that a request describes."""
        ...

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an earlier, interrupted `submit` created under this name, if any."""
        ...

    def status(self, job: JobRef) -> JobStatus:
        """Return the current state of the job and its trials; a job that is gone has failed."""
        ...

    def stop(self, job: JobRef) -> None:
        """Ask the service to end the job. Idempotent; an ended job stays as it is."""
        ...


class TrialRunner(Protocol):
    """Runs single trials, and reports their measurements and ends to the `Emit` of the runner.

    Exactly one `Ended` follows each start: ``completed`` or ``failed`` as the process or the
    service reports it, ``cancelled`` if the trial was lost through no fault of its script and must
    be repeated, or ``pending`` and lost if it got no machine and asks for one again. The exception
    is `Lost`, which ends all trials. The driver interprets stops: a trial that `stop` has reached
    ends with `Stopped`, any other one has ended by itself. cloudtune implements this for the
    `TrainingJobs` of a service.
    """

    @property
    def enforces_trial_timeout(self) -> bool:
        """Whether the service itself ends a trial at its ``trial_timeout``, by its own clock."""
        ...

    def job_name(self, number: int, start: int) -> str | None:
        """Return the service's name for a start of a trial, before the start.

        Args:
            number: The trial's number.
            start: The number of the start, from 1.
        """
        ...

    def start(self, started: Started) -> None:
        """Start a trial, or start it again with more of its resource and its saved state."""
        ...

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end: gracefully, or at once with ``now``. An ended trial is ignored."""
        ...

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return what became of the trials that an earlier, killed process left running."""
        ...

    def close(self) -> None:
        """End all running trials at once, and release all resources."""
        ...


class TrainingJobs(PolledService, Protocol):
    """The training jobs of one run at a service. Every call may raise `ProviderError`."""

    @property
    def enforces_trial_timeout(self) -> bool:
        """Whether the service itself ends a trial at its ``trial_timeout``, by its own clock."""
        ...

    def job_name(self, number: int, start: int) -> str:
        """Return the unique name of the training job for a start of a trial. Pure."""
        ...

    def create(self, started: Started) -> None:
        """Create the training job of a start, under the name ``started.id``.

        If a job of this name exists, as after a lost answer, it is used if it belongs to this run,
        and refused otherwise.
        """
        ...

    def poll(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        """Return the current state of training jobs, keyed by name. Missing jobs are omitted."""
        ...

    def stop(self, name: str) -> None:
        """Ask a training job to end. Idempotent; an ended job stays as it is."""
        ...


@runtime_checkable
class RemovableJobs(Protocol):
    """`TrainingJobs` that keep something at the service only for a run, such as a deployment."""

    def remove_leftovers(self) -> None:
        """Remove what the run has at the service; called when no job of it runs any more.

        A later process of the run must be able to create it again. May raise `ProviderError`.
        """
        ...


@runtime_checkable
class DeletableJobs(Protocol):
    """A `JobClient` that can delete its jobs."""

    def delete(self, job: JobRef) -> None:
        """Delete a job that has ended, as far as the service can. May raise `ProviderError`."""
        ...


class Emit(Protocol):
    """Receives what a runner observes; may be called from any thread."""

    def __call__(self, *events: Observation | Lost, inline: bool = False) -> None:
        """Receive events in order.

        With ``inline``, the calling thread has nothing else to do and holds no lock: before this
        call returns, it may choose the next trial and call the runner's `start` and `stop`.
        Therefore a runner must not set ``inline`` inside those methods.
        """
        ...
