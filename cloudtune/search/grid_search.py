"""Strategy `grid`: each assignment once, in file order, with the last parameter varying fastest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from typing_extensions import override

from cloudtune.results.events import SearchEvent, Started
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import InitialTrials, SearchInputs
from cloudtune.study.search_space import Assignment, Space, Value


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    return GridSearch(Space.from_study(inputs.study), inputs.initial)


class GridSearch(Strategy):
    """Suggests the initial trials, then the rest of the grid, which it enumerates lazily.

    It leaves out what was proposed from outside before its turn came.
    """

    def __init__(self, space: Space, initial: InitialTrials) -> None:
        self._space = space
        self._initial = initial
        self._current: dict[str, Value] | None = None
        self._own = 0
        """The trials so far that were not proposed."""
        self._proposed: dict[frozenset[tuple[str, Value, type]], int] = {}
        """For each proposed assignment, the number of own trials before it."""
        self._restart()

    @override
    def tell(self, event: SearchEvent) -> None:
        if not isinstance(event, Started) or event.replaces is not None:
            return
        if event.proposal is None:
            self._own += 1
        else:
            self._proposed.setdefault(_identity(event.parameters), self._own)
            self._restart()

    @override
    def ask(self, index: int) -> Suggestion | Literal["done"]:
        """Return a trial, or ``done`` after the last.

        Raises:
            ValueError: If a parameter is continuous.
        """
        if index < len(self._initial):
            return Suggestion(self._initial.assignment(index))
        target = index - len(self._initial)
        if target < self._position:
            self._restart()
        while self._position < target:
            self._current = self._next(self._position + 1 + len(self._initial))
            self._position += 1
        return "done" if self._current is None else Suggestion(dict(self._current))

    def _next(self, index: int) -> dict[str, Value] | None:
        """Return the next assignment that was not proposed before the own trial with an index."""
        for assignment in self._remaining:
            if index < self._proposed.get(_identity(assignment), math.inf):
                return assignment
        return None

    def _restart(self) -> None:
        initial = {_identity(self._initial.assignment(i)) for i in range(len(self._initial))}
        self._remaining: Iterator[dict[str, Value]] = (
            assignment
            for assignment in self._space.grid()
            if not initial or _identity(assignment) not in initial
        )
        self._position = -1


def _identity(assignment: Assignment) -> frozenset[tuple[str, Value, type]]:
    return frozenset((name, value, type(value)) for name, value in assignment.items())
