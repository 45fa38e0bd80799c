"""Chooses the trials of a tuning job: cloudtune's own search, over one definition or in turn.

This is not the service's own choice of trials. Where there are several training job definitions,
each has a search of its own, and they take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cloudtune.results.events import Event, Started
from cloudtune.search.protocol import Strategy, Suggestion

DEFINITION = "definition"
"""The key under which a start's memory says which definition it belongs to."""
_INNER = "inner"


class InTurn:
    """A `Strategy` over several searches, one a training job definition."""

    def __init__(self, searches: Sequence[Strategy]) -> None:
        self._searches = list(searches)
        self._draws = [0] * len(searches)
        self._of: dict[int, int] = {}

    def tell(self, event: Event) -> None:
        """Take note of an event, and tell the search that it belongs to."""
        if isinstance(event, Started):
            place = int(event.memory[DEFINITION])
            if event.number not in self._of:
                self._draws[place] += 1
            self._of[event.number] = place
            event = Started(
                event.number,
                event.time,
                event.parameters,
                memory=event.memory[_INNER],
            )
        self._searches[self._of[event.number]].tell(event)

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        """Return the next trial of the definition whose turn it is, or of one after it."""
        count = len(self._searches)
        waiting = False
        for step in range(count):
            place = (index + step) % count
            found = self._searches[place].ask(self._draws[place])
            if isinstance(found, Suggestion):
                memory = {DEFINITION: place, _INNER: dict(found.memory)}
                return Suggestion(found.parameters, memory=memory)
            waiting = waiting or found == "wait"
        return "wait" if waiting else "done"

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should be stopped early, or None."""
        return self._searches[self._of[number]].stop_reason(number)
