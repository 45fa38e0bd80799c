"""Strategy `grid`: every assignment once, in the order of the file, the last parameter fastest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from cloudtune.results.events import Event
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import InitialTrials
from cloudtune.study.search_space import Assignment, Space, Value


class GridSearch:
    """Runs the opening, then what else the grid has; values are listed only as they are asked."""

    def __init__(self, space: Space, opening: InitialTrials) -> None:
        self._space = space
        self._opening = opening
        self._current: dict[str, Value] | None = None
        self._begin()

    def tell(self, event: Event) -> None:
        """Do nothing: no trial depends on another."""

    def ask(self, draw: int) -> Suggestion | Literal["done"]:
        """Return the draw's trial, or ``done`` after the last.

        Raises:
            ValueError: If a parameter is continuous.
        """
        if draw < len(self._opening):
            return Suggestion(self._opening.assignment(draw))
        place = draw - len(self._opening)
        if place < self._place:
            self._begin()
        while self._place < place:
            self._current = next(self._rest, None)
            self._place += 1
        return "done" if self._current is None else Suggestion(dict(self._current))

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""

    def _begin(self) -> None:
        opened = {_identity(self._opening.assignment(draw)) for draw in range(len(self._opening))}
        self._rest: Iterator[dict[str, Value]] = (
            assignment
            for assignment in self._space.grid()
            if not opened or _identity(assignment) not in opened
        )
        self._place = -1


def _identity(assignment: Assignment) -> frozenset[tuple[str, Value, type]]:
    return frozenset((name, value, type(value)) for name, value in assignment.items())
