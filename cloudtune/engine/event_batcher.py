"""Events on their way to whoever shows them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from cloudtune.results.events import Event

_MAX_DELAY = 0.2
"""Seconds after which an event is seen."""


class EventBatcher:
    """Gathers events, from any thread, and shows several at a time, which costs less than each."""

    def __init__(self, observe: Callable[[Sequence[Event]], None]) -> None:
        self.due = math.inf
        """When those that wait are to be shown, by `time.monotonic`."""
        self._observe = observe
        self._waiting: list[Event] = []
        self._lock = Lock()

    def add(self, events: Iterable[Event]) -> None:
        """Take events that are written."""
        with self._lock:
            if not self._waiting:
                self.due = time.monotonic() + _MAX_DELAY
            self._waiting += events

    def show_due(self) -> None:
        """Show what waits, once it is due."""
        if time.monotonic() >= self.due:
            self.show()

    def show(self) -> None:
        """Show what waits."""
        with self._lock:
            events, self._waiting = self._waiting, []
            self.due = math.inf
        if events:
            self._observe(events)
