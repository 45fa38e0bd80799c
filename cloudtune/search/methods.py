"""Which methods each strategy has."""

from __future__ import annotations

from collections.abc import Mapping

METHODS: Mapping[str, tuple[str, ...]] = {
    "random": ("uniform", "sobol"),
    "grid": (),
    "list": (),
    "bayesian": ("tpe", "gp", "cmaes"),
    "genetic": ("nsga2", "nsga3"),
    "hyperband": (),
}
"""The methods of each strategy, the default first."""

ONE_OBJECTIVE: frozenset[str] = frozenset({"cmaes"})
"""The methods that know one objective only; so do hyperband and early stopping."""
