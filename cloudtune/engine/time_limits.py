"""The time limits of a driven job: when its trials and the job itself have used up their time.

Only time counts in which this process could run. After Ctrl-Z and ``fg``, or when a container was
paused, a trial would otherwise have used up its time without having run, or have ended in time
without being noticed.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress

from cloudtune.results.events import Ended, Stopped
from cloudtune.study.schema import Limits

TRIAL_TIMEOUT = "its trial_timeout was reached"
"""Why a trial has failed that has used up its time."""
_TICK = 0.25
"""Seconds between two looks at the clock."""
_MIN_PAUSE = 1.0
"""Seconds between two looks from which the process was paused: a busy machine delays them less."""


class RunningClock:
    """A monotonic clock that stops while this process is paused. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._paused = 0.0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Detect pauses from now on."""
        self._last = time.monotonic()
        thread = threading.Thread(target=self._tick, name="clock", daemon=True)
        with suppress(RuntimeError):  # no more threads: the clock does not stop
            thread.start()
            self._thread = thread

    def close(self) -> None:
        """Detect no more pauses."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def now(self) -> float:
        """Return the time in seconds."""
        return time.monotonic() - self.paused()

    def paused(self) -> float:
        """Return for how many seconds this process was paused."""
        if self._thread is None:
            return self._paused
        with self._lock:
            now = time.monotonic()
            gap = now - self._last
            self._last = now
            if gap >= _MIN_PAUSE:
                self._paused += gap - _TICK
            return self._paused

    def _tick(self) -> None:
        while not self._closing.wait(_TICK):
            self.paused()


class TimeLimits:
    """The time that a job and its trials have left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clock = RunningClock()
        self._seconds_used: dict[int, float] = {}
        """The seconds of earlier starts of each trial."""
        self._paused_at_start: dict[int, float] = {}
        self.job_deadline = math.inf
        """When the job has used up its time, by `now`."""

    def start(self, spent: float) -> None:
        """Start the job's time, of which earlier processes used ``spent`` seconds."""
        if self._limits.timeout is not None or self._limits.trial_timeout is not None:
            self._clock.start()
        if self._limits.timeout:
            self.job_deadline = self.now() + self._limits.timeout - spent

    def close(self) -> None:
        """Stop the clock."""
        self._clock.close()

    def now(self) -> float:
        """Return the time by the clock of all deadlines."""
        return self._clock.now()

    def to_monotonic(self, deadline: float) -> float:
        """Return a deadline by `time.monotonic`, if this process is not paused until then."""
        return deadline + self._clock.paused()

    def start_trial(self, number: int, ran: float) -> float:
        """Return when a trial whose present start ran for some seconds has used up its time."""
        self._paused_at_start[number] = self._clock.paused()
        if self._limits.trial_timeout is None:
            return math.inf
        return self.now() + self._limits.trial_timeout - self._seconds_used.get(number, 0.0) - ran

    def add_seconds(self, number: int, seconds: float) -> None:
        """Count the duration of a start of a trial that has ended."""
        self._seconds_used[number] = self._seconds_used.get(number, 0.0) + seconds

    def is_in_time(self, event: Ended) -> bool:
        """Return whether a trial ended within its time and was only reported later.

        One that a stop has reached did not: it was still going on when its time was up.
        """
        if isinstance(event, Stopped):
            return False
        if event.seconds is None:
            return True
        paused = self._clock.paused() - self._paused_at_start.get(event.number, 0.0)
        limit = self._limits.trial_timeout or math.inf
        return self._seconds_used.get(event.number, 0.0) + event.seconds - paused < limit
