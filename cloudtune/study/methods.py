"""Which methods each strategy has."""

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
"""The methods of each strategy. Where a study names none, it is the first one; but `bayesian` lets
`gp` and `tpe` take turns where there is one objective."""

SINGLE_OBJECTIVE: frozenset[str] = frozenset({"cmaes"})
"""The methods that know one objective only; so do hyperband and early stopping."""


def can_warm_start(strategy: Strategy, kind: Literal["same", "transfer"]) -> bool:
    """Tell whether a warm start changes what a strategy does.

    With ``same`` the strategy must learn from other trials than its own. With ``transfer`` it must
    be able to begin with the best earlier ones; a grid and a list have an order of their own.
    """
    if kind == "transfer":
        return strategy.name not in {"grid", "list"}
    return strategy.name in {"bayesian", "genetic"} and strategy.method != "cmaes"
