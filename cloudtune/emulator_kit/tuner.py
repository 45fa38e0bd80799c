"""Runs emulated tuning jobs: cloudtune's search chooses, cloudtune's driver loops."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

from cloudtune.common.host_errors import describe_host_error
from cloudtune.emulator_kit.script_jobs import Context, JobsT
from cloudtune.emulator_kit.state import Job
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.errors import CloudtuneError
from cloudtune.provider.models import Interrupted, Recovered
from cloudtune.results.events import Started
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.schema import Limits
from cloudtune.study.study import Study

_UNLIMITED = 1_000_000
"""Failures: no service ends a job because its trials fail alike."""
TuningT = TypeVar("TuningT", bound=Job)


class Tuner(ABC, Generic[TuningT, JobsT]):
    """Runs one tuning job in its own thread. A provider adds the trials and the final state."""

    STARTING: ClassVar[float]
    """Seconds of the service's time before the first trial."""

    def __init__(self, name: str, job: TuningT, context: Context[JobsT]) -> None:
        """Create a tuner that has not started.

        Args:
            name: The job's.
            job: The job.
            context: What the job works with.
        """
        self.job = job
        self.context = context
        self.lock = context.lock
        self.inbox = Inbox()
        self._name = name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._timer: threading.Timer | None = None

    @abstractmethod
    def start_trial(self, started: Started) -> None:
        """Create the job of a trial and launch it."""

    @abstractmethod
    def stop_trial(self, number: int) -> None:
        """Stop the job of a trial."""

    @abstractmethod
    def create_search(self) -> tuple[Study, Strategy]:
        """Return the study that the driver runs, and what chooses its trials."""

    @abstractmethod
    def settle(self, error: str | None) -> None:
        """Enter the tuning job's final state; called under the lock.

        Args:
            error: How the tuner failed, if it did; empty if only the server's log knows.
        """

    def begin(self) -> None:
        """Enter the running state; called under the lock."""

    def wait_for_start(self) -> bool:
        """Wait until the job begins; return whether it is asked to end before."""
        return self.context.delays.wait(self.STARTING, self.job.stop_requested)

    def finish(self) -> None:
        """Do what the service does after the last trial."""

    def is_complete(self) -> bool:
        """Return whether the job starts no further trial."""
        return False

    def start(self) -> None:
        """Start the job."""
        self._thread.start()

    def stop(self, *, now: bool = False) -> None:
        """Ask the job to end with all its trials, or to end ``now``."""
        self.job.stop_requested.set()
        self.inbox.put(StopRequest("stopped by the user", now=now))

    def start_limit(self, seconds: float, end: Callable[[], object]) -> None:
        """Start to measure the time of the job, and call ``end`` after so many seconds."""
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
        self._timer.daemon = True
        self._timer.start()

    def busy(self) -> bool:
        """Return whether the job runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        error: str | None = ""
        try:
            self._drive()
            self.finish()
            error = None
        except CloudtuneError as failure:
            error = str(failure)
        except (OSError, MemoryError, RuntimeError) as failure:
            if (host_error := describe_host_error(failure)) is None:
                raise
            error = host_error
        finally:
            if self._timer is not None:
                self._timer.cancel()
            with self.lock:
                self.settle(error)

    def _drive(self) -> None:
        study, search = self.create_search()
        if self.wait_for_start():
            return
        with self.lock:
            if self.job.stop_requested.is_set():
                return
            self.begin()
        limits = {"max_failed_trials": _UNLIMITED, **study.limits.model_dump(exclude_none=True)}
        driver = Driver(
            study.model_copy(update={"limits": Limits.model_validate(limits)}),
            _UntilComplete(search, self.is_complete),
            run=self._name,
            inbox=self.inbox,
            record=lambda _: None,
        )
        driver.run(_Trials(self))


class _UntilComplete:
    """A `Strategy` that proposes nothing once the tuning job is complete."""

    def __init__(self, search: Strategy, is_complete: Callable[[], bool]) -> None:
        self._search = search
        self._is_complete = is_complete
        self.tell = search.tell
        self.stop_reason = search.stop_reason
        self.has_initial_trial = search.has_initial_trial

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        return "done" if self._is_complete() else self._search.ask(index)


class _Trials:
    """A `TrialRunner` whose trials are jobs of the emulator, which end with it."""

    enforces_trial_timeout = True
    """The jobs keep their own time."""

    def __init__(self, tuner: Tuner[Any, Any]) -> None:
        self.start = tuner.start_trial
        self._stop = tuner.stop_trial

    def stop(self, number: int, *, now: bool = False) -> None:
        """Stop a trial; the service gives each its grace."""
        self._stop(number)

    def job_name(self, number: int, start: int) -> None:
        """Return None: a tuner names its jobs itself."""

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return nothing: no tuner takes over another's trials."""
        return Recovered()

    def close(self) -> None:
        """Do nothing: the jobs end with the emulator."""
