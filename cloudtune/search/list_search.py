"""Strategy `list`: the initial trials as they stand, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cloudtune.results.events import Event
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Assignment


class ListSearch:
    """Runs given assignments in their order."""

    def __init__(self, trials: Sequence[Assignment]) -> None:
        self._trials = trials

    def tell(self, event: Event) -> None:
        """Do nothing: no trial depends on another."""

    def ask(self, draw: int) -> Suggestion | Literal["done"]:
        """Return the draw's trial, or ``done`` after the last."""
        return Suggestion(dict(self._trials[draw])) if draw < len(self._trials) else "done"

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""
