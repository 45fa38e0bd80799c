"""One job while its script runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cloudtune.emulation.faults import Fault
from cloudtune.emulator_kit.state import ScriptJob
from cloudtune.results.events import Ended, Measured

Listener = Callable[[Measured | Ended], None]
"""Receives the measurements of one job and, last, its end."""
JobT = TypeVar("JobT", bound=ScriptJob)
ScriptT = TypeVar("ScriptT")
ProblemT = TypeVar("ProblemT")


class JobRun(Generic[JobT, ScriptT, ProblemT]):
    """The state of one job that only its emulator knows, across all its starts."""

    def __init__(self, number: int, job: JobT, listener: Listener | None) -> None:
        self.number = number
        self.job = job
        self.script: ScriptT | None = None
        """The script, once its container exists."""
        self.problem: ProblemT | None = None
        """Why the job fails, unless the script itself failed."""
        self.loss: ProblemT | None = None
        """Why the job fails if the service cannot run it."""
        self.temporary: Path | None = None
        """The folder for the temporary files of its attempt."""
        self.interrupted = False
        """Whether its machine is being taken away."""
        self.attempts = 1
        self.seconds = 0.0
        """How long the script ran in earlier attempts."""
        self.reading = threading.Lock()
        """Held while the files of the script are read."""
        self._listener = listener
        self._faults = [job.fault] if job.fault else []
        self._timer: threading.Timer | None = None
        self._started: float | None = None

    @property
    def is_broken_off(self) -> bool:
        """Whether the script is not to continue."""
        return bool(self.interrupted or self.problem or self.job.stop_requested.is_set())

    def notify(self, event: Measured | Ended) -> None:
        """Pass an event to the listener."""
        if self._listener is not None:
            self._listener(event)

    def take_fault(self, effect: str) -> Fault | None:
        """Return the fault with this effect if it has not happened yet, once."""
        fault = next((fault for fault in self._faults if fault.effect == effect), None)
        if fault is not None:
            self._faults.remove(fault)
        return fault

    def start_limit(self, seconds: float, stop: Callable[[], object]) -> None:
        """Start to measure the time of the script, and call ``stop`` after so many seconds."""
        self._started = time.monotonic()
        self._timer = threading.Timer(min(max(0.0, seconds), threading.TIMEOUT_MAX), stop)
        self._timer.daemon = True
        self._timer.start()

    def cancel_limit(self) -> None:
        """Cancel the limit."""
        if self._timer is not None:
            self._timer.cancel()

    def end_attempt(self) -> None:
        """Cancel the limit, and count the time of this attempt."""
        self.cancel_limit()
        self.seconds += self.elapsed()
        self._started = None

    def elapsed(self) -> float:
        """Return how many seconds the script has run in this attempt."""
        return 0.0 if self._started is None else time.monotonic() - self._started
