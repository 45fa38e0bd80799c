"""Batches events for the display: one update for several events costs less than one for each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from cloudtune.results.events import Event

_MAX_DELAY = 0.2
"""Seconds after which an event is delivered."""


class EventBatcher:
    """Collects events from any thread and delivers them in batches."""

    def __init__(self, observe: Callable[[Sequence[Event]], None]) -> None:
        self.due = math.inf
        """The time of the next delivery, by `time.monotonic`."""
        self._observe = observe
        self._events: list[Event] = []
        self._lock = Lock()

    def add(self, events: Iterable[Event]) -> None:
        """Add events to the next batch."""
        with self._lock:
            if not self._events:
                self.due = time.monotonic() + _MAX_DELAY
            self._events += events

    def flush_if_due(self) -> None:
        """Deliver the batch if it is due."""
        if time.monotonic() >= self.due:
            self.flush()

    def flush(self) -> None:
        """Deliver the batch now."""
        with self._lock:
            events, self._events = self._events, []
            self.due = math.inf
        if events:
            self._observe(events)
