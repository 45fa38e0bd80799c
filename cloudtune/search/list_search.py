"""Strategy `list`: the study's initial trials and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from typing_extensions import override

from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import SearchInputs
from cloudtune.study.search_space import Assignment


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    return ListSearch(inputs.study.initial_trials)


class ListSearch(Strategy):
    """Suggests the listed assignments in order."""

    def __init__(self, trials: Sequence[Assignment]) -> None:
        self._trials = trials

    @override
    def ask(self, index: int) -> Suggestion | Literal["done"]:
        return Suggestion(dict(self._trials[index])) if index < len(self._trials) else "done"
