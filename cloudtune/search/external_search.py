"""Strategy `external`: only trials that are proposed from outside."""

from __future__ import annotations

from typing import Literal

from typing_extensions import override

from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import SearchInputs


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    del inputs
    return ExternalSearch()


class ExternalSearch(Strategy):
    """Suggests nothing. The driver waits for proposals instead of asking it."""

    @override
    def ask(self, index: int) -> Suggestion | Literal["done"]:
        return "done"
