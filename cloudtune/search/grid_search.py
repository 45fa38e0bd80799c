"""Strategy `grid`: each assignment once, in file order, with the last parameter varying fastest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from typing_extensions import override

from cloudtune.results.events import SearchEvent
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import InitialTrials, SearchInputs
from cloudtune.search.trial_queue import TrialQueue
from cloudtune.study.search_space import Space, assignment_key


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    return GridSearch(Space.from_study(inputs.study), inputs.initial)


class GridSearch(Strategy):
    """Suggests the initial trials, then the rest of the grid, which it enumerates lazily."""

    def __init__(self, space: Space, initial: InitialTrials) -> None:
        self._queue = TrialQueue(_trials(space, initial))

    @override
    def tell(self, event: SearchEvent) -> None:
        self._queue.tell(event)

    @override
    def ask(self, index: int) -> Suggestion | Literal["done"]:
        """Return a trial, or ``done`` after the last.

        Raises:
            ValueError: If a parameter is continuous.
        """
        return self._queue.first() or "done"


def _trials(space: Space, initial: InitialTrials) -> Iterator[Suggestion]:
    first = [*initial]
    yield from first
    known = {assignment_key(each.parameters) for each in first}
    for assignment in space.grid():
        if not known or assignment_key(assignment) not in known:
            yield Suggestion(assignment, origin="it is the next one of the grid")
