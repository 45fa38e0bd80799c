"""Trials that run once each, in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cloudtune.results.events import SearchEvent, Started
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Assignment, AssignmentKey, assignment_key


class TrialQueue:
    """Trials of which each starts when its turn comes.

    One that was proposed from outside before its turn is left out, however that trial ended: one of
    the queue that fails is not tried again either. An assignment that is in the queue twice is left
    out once for each proposal of it.
    """

    def __init__(self, trials: Iterable[Suggestion]) -> None:
        """Create a queue of trials, which are enumerated as they are needed."""
        self.left_out = 0
        """How many were left out so far."""
        self._trials = iter(trials)
        self._first: Suggestion | None = None
        self._is_known = False
        """Whether the first trial is known, which is None after the last."""
        self._proposed = Counter[AssignmentKey]()
        self._last_number = 0

    def tell(self, event: SearchEvent) -> None:
        """Record an event of the job. Each new trial that was not proposed takes a turn."""
        if not isinstance(event, Started):
            return
        is_new = event.number > self._last_number and event.replaces is None
        self._last_number = max(self._last_number, event.number)
        if is_new and event.proposal is not None:
            self._proposed[assignment_key(event.parameters)] += 1
        elif is_new and self.first() is not None:
            self._is_known = False

    def first(self) -> Suggestion | None:
        """Return the trial whose turn is next; None after the last."""
        if not self._is_known:
            self._first, self._is_known = next(self._trials, None), True
        while self._first is not None and self._take_proposal(self._first.parameters):
            self._first = next(self._trials, None)
        return self._first

    def _take_proposal(self, assignment: Assignment) -> bool:
        """Return whether a proposal of an assignment came before its turn, and forget it."""
        if not self._proposed:
            return False
        key = assignment_key(assignment)
        if not self._proposed[key]:
            return False
        self._proposed[key] -= 1
        self.left_out += 1
        return True
