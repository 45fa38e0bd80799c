"""The inbox of a job: its messages, processed in steps by one thread at a time.

The thread that runs the job waits here. A thread that brings a message and has nothing else to do
can run the next step itself: waking the other thread can take longer than the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock
from typing import Any, Generic, TypeVar

from cloudtune.ledger.proposals import Proposal
from cloudtune.provider.models import Lost
from cloudtune.provider.plan import Plan
from cloudtune.results.events import JobState, Observation

T = TypeVar("T")


@dataclass(frozen=True)
class StopRequest:
    """A request to end the job: gracefully, or at once with ``now``."""

    reason: str
    now: bool = False
    state: JobState = "cancelled"
    """The job's state afterward; ``completed`` if a limit of the study is the reason."""
    leave: bool = False
    """Whether the job continues at its service and is only not followed any more."""


@dataclass(frozen=True)
class NewLimits:
    """The plan of the job with other limits, which is in the ledger."""

    plan: Plan
    changes: int
    """How many changes of the limits the plan contains."""


LoadProposals = Callable[[], Sequence[Proposal]]
"""Returns all proposals of a job, also those that have started, in their order."""


@dataclass(frozen=True)
class NewProposals:
    """There are new proposals in the ledger."""


Message = Observation | Lost | StopRequest | NewLimits | NewProposals


class Inbox:
    """The messages of one job, in the order of their arrival."""

    def __init__(self) -> None:
        self.stop_requested = False
        """Whether there has ever been a request to stop, so that pauses end."""
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._turn = Lock()
        self._steps: _Steps[Any] | None = None

    def put(self, *messages: Message, inline: bool = False) -> None:
        """Add messages, from any thread.

        Args:
            messages: In their order.
            inline: Run the next step in this thread, as in `Emit`. Without it, safe to call from a
                signal handler.
        """
        for message in messages:
            self.stop_requested = self.stop_requested or isinstance(message, StopRequest)
            self._messages.put(message)
        if not inline:
            self._wakeups.put(None)
            return
        with self._turn:
            wake = self._steps is None or self._steps.run_next()
        if wake or not self._messages.empty():
            self._wakeups.put(None)

    def pop(self) -> Message | None:
        """Return the next message, or None."""
        try:
            return self._messages.get_nowait()
        except Empty:
            return None

    def wait(self, seconds: float = math.inf) -> None:
        """Return when there is a message or a step is due earlier, at the latest after a time."""
        if self._messages.empty():
            with suppress(Empty):
                self._wakeups.get(timeout=max(0.0, min(seconds, TIMEOUT_MAX)))
        with suppress(Empty):
            while True:
                self._wakeups.get_nowait()

    def run_until_result(
        self,
        step: Callable[[], T | None],
        due: Callable[[], float],
        between_steps: Callable[[], None],
    ) -> T:
        """Call a step repeatedly until it returns a result, and return that.

        Args:
            step: Pops messages and acts on them. It runs in this thread or in one that calls `put`
                with ``inline``, never in two at a time. Its exceptions are raised here.
            due: Called with each step; returns when the next one is due without a message, by
                `time.monotonic`.
            between_steps: Called between two steps, in this thread.
        """
        steps = _Steps(step, due)
        self._steps = steps
        try:
            while True:
                with self._turn:
                    steps.run_next()
                if steps.error:
                    raise steps.error
                if steps.result is not None:
                    return steps.result
                self.wait(steps.due - time.monotonic())
                between_steps()
        finally:
            with self._turn:
                self._steps = None


class _Steps(Generic[T]):
    """Runs a step until it returns a result or raises."""

    def __init__(self, step: Callable[[], T | None], due: Callable[[], float]) -> None:
        self.result: T | None = None
        self.error: BaseException | None = None
        self.due = math.inf
        self._step = step
        self._next_due = due

    def run_next(self) -> bool:
        """Run a step unless they are over; return whether the waiting thread must wake up."""
        if self.result is not None or self.error:
            return True
        before = self.due
        try:
            self.result = self._step()
            self.due = self._next_due()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            self.error = error
        return self.error is not None or self.result is not None or self.due < before
