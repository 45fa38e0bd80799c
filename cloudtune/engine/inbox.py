"""The inbox of a job: what its trials did and what others want, dealt with by one thread at a time.

Whoever runs the job waits here. A thread that brings news and has nothing else to do deals with
them itself: to wake another one can take longer than all that is done then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock
from typing import Any, Generic, TypeVar

from cloudtune.provider.models import Lost
from cloudtune.results.events import Ended, JobState, Measured

T = TypeVar("T")


@dataclass(frozen=True)
class StopRequest:
    """Somebody wants the job to end: gracefully, or at once with ``now``."""

    reason: str
    now: bool = False
    state: JobState = "cancelled"
    """How it ends then; ``completed`` where it has got what it was given."""


Message = Measured | Ended | Lost | StopRequest


class Inbox:
    """News of one job, in the order in which they came."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Message] = SimpleQueue()
        self._rings: SimpleQueue[None] = SimpleQueue()
        self._turn = Lock()
        self._steps: _Steps[Any] | None = None

    def put(self, *news: Message, idle: bool = False) -> None:
        """Add news, from any thread; as in `Emit`. Without ``idle``, also from a signal handler."""
        for each in news:
            self._news.put(each)
        if not idle:
            self._rings.put(None)
            return
        with self._turn:
            sooner = self._steps is None or self._steps.take()
        if sooner or not self._news.empty():
            self._rings.put(None)

    def take(self) -> Message | None:
        """Return the next news, or None."""
        try:
            return self._news.get_nowait()
        except Empty:
            return None

    def wait(self, seconds: float = math.inf) -> None:
        """Return when there is something to do, or after so many seconds."""
        if self._news.empty():
            with suppress(Empty):
                self._rings.get(timeout=max(0.0, min(seconds, TIMEOUT_MAX)))
        with suppress(Empty):
            while True:
                self._rings.get_nowait()

    def work_off(
        self, step: Callable[[], T | None], due: Callable[[], float], rest: Callable[[], None]
    ) -> T:
        """Call ``step`` again and again until it returns something, and return that.

        Args:
            step: Takes news and acts on them; called here, or by a thread that puts news while it
                is idle, and never in two threads at a time. What it raises is raised here.
            due: Returns when, by `time.monotonic`, the step is to be called though there are no
                news; called with the step.
            rest: Is called here between steps.
        """
        steps = _Steps(step, due)
        self._steps = steps
        try:
            while True:
                with self._turn:
                    steps.take()
                if steps.error:
                    raise steps.error
                if steps.result is not None:
                    return steps.result
                self.wait(steps.due - time.monotonic())
                rest()
        finally:
            with self._turn:
                self._steps = None


class _Steps(Generic[T]):
    """Steps that are taken until one returns something."""

    def __init__(self, step: Callable[[], T | None], due: Callable[[], float]) -> None:
        self.result: T | None = None
        self.error: BaseException | None = None
        self.due = math.inf
        self._step = step
        self._when_due = due

    def take(self) -> bool:
        """Take one, unless it is over; return whether whoever waits is to do something sooner."""
        if self.result is not None or self.error:
            return True
        before = self.due
        try:
            self.result = self._step()
            self.due = self._when_due()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        return self.error is not None or self.result is not None or self.due < before
