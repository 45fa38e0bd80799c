"""The methods of each strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cloudtune.study.schema import Strategy

METHODS: Mapping[str, tuple[str, ...]] = {
    "random": ("uniform", "sobol"),
    "grid": (),
    "list": (),
    "bayesian": ("tpe", "gp", "cmaes"),
    "genetic": ("nsga2", "nsga3"),
    "hyperband": (),
}
"""The methods of each strategy. The first one is the default, except that `bayesian` alternates
between `gp` and `tpe`."""

SINGLE_OBJECTIVE: frozenset[str] = frozenset({"cmaes"})
"""The methods that support only one objective, as do hyperband and early stopping."""


def can_warm_start(strategy: Strategy, kind: Literal["same", "transfer"]) -> bool:
    """Return whether a strategy can use the trials of a warm start.

    With ``same``, the strategy must learn from earlier trials. With ``transfer``, it must be able
    to start with the best earlier assignments; a grid and a list have a fixed order.
    """
    if kind == "transfer":
        return strategy.name not in {"grid", "list"}
    return strategy.name in {"bayesian", "genetic"} and strategy.method != "cmaes"
