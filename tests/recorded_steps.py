"""Delays of an emulator that pass one by one, so that a replay meets each state of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from threading import Event, get_ident
from typing import TypeVar

from cloudtune.emulator_kit.delays import Delays

T = TypeVar("T")
PATIENCE = 120.0
"""Seconds in which a job has to reach a state; until one has not, so that its test fails."""


@dataclass(frozen=True)
class Steps(Delays):
    """Delays of a service that pass one by one, when the test says so."""

    waiting: list[tuple[Event, Event]] = field(default_factory=list[tuple[Event, Event]])
    """What each waiting thread waits for, with the event that stops its job."""
    common: set[Event] = field(default_factory=set[Event])
    """Events that stop all jobs; with one of them, a thread waits for the job of its last delay."""
    jobs: dict[int, Event] = field(default_factory=dict[int, Event])
    """The event that stops the job of each thread."""
    has_missed: Event = field(default_factory=Event)
    """Set if a state was not reached in time. It is not waited so long for the next ones."""

    def wait(self, seconds: float, stop: Event) -> bool:
        """Wait until a step passes; return whether ``stop`` was set meanwhile."""
        if stop not in self.common:
            self.jobs[get_ident()] = stop
        step = Event(), self.jobs.get(get_ident(), stop)
        self.waiting.append(step)
        try:
            while not stop.is_set():
                if step[0].wait(0.005):  # short: it is asked again and again
                    return stop.is_set()
            return True
        finally:
            self.waiting.remove(step)

    def until(
        self,
        read: Callable[[], T],
        is_good: Callable[[T], bool],
        is_busy: Callable[[], bool] = lambda: True,
        others: Container[Event] = (),
        is_past: Callable[[T], bool] = lambda _: False,
    ) -> T:
        """Let one delay after the other pass until what is read is good; return it.

        Those of jobs that ``others`` stop do not pass. A state is entered before the next delay
        begins, so none is passed over. What is read last is returned if it is not good, and it can
        never become so: ``is_past``, nothing runs any more, or `PATIENCE` ends.
        """
        due = time.monotonic() + (5 if self.has_missed.is_set() else PATIENCE)  # short: it fails
        while True:
            steps = [step for step, stop in list(self.waiting) if stop not in others][:1]
            busy = is_busy()
            value = read()
            is_late = time.monotonic() > due
            if is_good(value) or not busy or is_late or is_past(value):
                if is_late:
                    self.has_missed.set()
                return value
            for step in steps:
                step.set()
            time.sleep(0.01)
