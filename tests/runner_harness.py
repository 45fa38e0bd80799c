"""What a runner of training jobs tells, for the tests of the poller and of each cloud behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue

from cloudtune.engine.job_poller import JobPoller
from cloudtune.provider.models import Interrupted, Lost
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import Ended, Measured, Observation, Running, Started, Waiting
from cloudtune.study.search_space import Value


class Followed:
    """A runner of a service's jobs, and what it has told.

    Args:
        provider: Whose jobs they are.
        jobs: Makes what reaches the service.
        given: The values of each trial.
    """

    def __init__(
        self, provider: str, jobs: Callable[[], TrainingJobs], given: Mapping[str, Value] = {}
    ) -> None:
        self._provider = provider
        self._jobs = jobs
        self._given = given
        self._told: SimpleQueue[Measured | Ended | Lost] = SimpleQueue()
        self.said: list[str] = []
        self.has_timeout = False
        self.machine_events: list[Waiting | Running] = []
        """Of all trials, in order."""
        self.runner = self.another()

    def another(self) -> JobPoller:
        return JobPoller(
            *(self._provider, self._jobs(), self._emit, self.said.append),
            has_timeout=self.has_timeout,
        )

    def _emit(self, *events: Observation | Lost, inline: bool = False) -> None:
        for event in events:
            if isinstance(event, Waiting | Running):
                self.machine_events.append(event)
            else:
                self._told.put(event)

    def start(
        self, *numbers: int, resource: int | None = None, start: int = 1, after_step: int = 0
    ) -> None:
        for number in numbers:
            self.runner.start(self.started(number, start, resource, after_step))

    def started(
        self, number: int, start: int = 1, resource: int | None = None, after_step: int = 0
    ) -> Started:
        name = self.runner.job_name(number, start)
        return Started(number, time.time(), self._given, resource, id=name, after_step=after_step)

    def left(self, number: int, measured: int = 0) -> Interrupted:
        return Interrupted(self.started(number), measured, 0)

    def _next(self) -> Measured | Ended | Lost:
        return self._told.get(timeout=200)

    def ended(self) -> Ended:
        """Return the next end; what was measured before it is passed over."""
        while isinstance(event := self._next(), Measured):
            pass
        assert isinstance(event, Ended), event
        return event

    def measured(self) -> Measured:
        event = self._next()
        assert isinstance(event, Measured), event
        return event

    def lost(self) -> Lost:
        """Return what is told when nothing can be started or followed any more."""
        event = self._next()
        assert isinstance(event, Lost), event
        return event

    def silent(self) -> bool:
        try:
            return not self._told.get(timeout=0.1)  # short: it never comes
        except Empty:
            return True

    @staticmethod
    def until(good: Callable[[], bool]) -> None:
        due = time.monotonic() + 200
        while not good():
            assert time.monotonic() < due
            time.sleep(0.005)
