"""Events on their way to whoever shows them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from cloudtune.events import Event

_WITHIN = 0.05
"""Seconds after which an event is seen."""


class Showing:
    """Gathers events and shows several at a time, which costs less than each alone."""

    def __init__(self, observe: Callable[[Event], None]) -> None:
        self.due = math.inf
        """When those that wait are to be shown, by `time.monotonic`."""
        self._observe = observe
        self._waiting: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        """Take events that are written."""
        if not self._waiting:
            self.due = time.monotonic() + _WITHIN
        self._waiting += events

    def show(self) -> None:
        """Show what waits."""
        events, self._waiting = self._waiting, []
        self.due = math.inf
        for event in events:
            self._observe(event)
