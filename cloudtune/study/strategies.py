"""The strategies: each is a row here, and a file `cloudtune/search/NAME_search.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal


@dataclass(frozen=True)
class StrategyTraits:
    """What the rest of cloudtune has to know of a strategy."""

    methods: tuple[str, ...] = ()
    """The first one is the default, except that `bayesian` alternates between `gp` and `tpe`."""
    is_single_objective: bool = False
    ends_itself: bool = False
    """Whether it ends without a limit, when all its trials were tried."""
    has_fixed_order: bool = False
    """Whether its trials have an order of their own, so that none come first."""
    learns: bool = False
    """Whether it learns from the trials of earlier runs."""
    suggests_initial_trials: bool = False
    """Whether it suggests the initial trials itself."""
    is_sequence: bool = False
    """Whether its trials do not depend on the results of earlier ones."""
    packages: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The package that a method needs beyond those of cloudtune; the extra `samplers` has it."""
    example: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """The settings that it requires, with an example."""
    other_names: tuple[str, ...] = ()
    """What other tools call it, for a message about an unknown strategy."""

    def can_warm_start(self, method: str | None, kind: Literal["same", "transfer"]) -> bool:
        """Return whether the strategy can use the trials of a warm start.

        With ``same``, it must learn from earlier trials. With ``transfer``, it must be able to
        start with the best earlier assignments.
        """
        if kind == "transfer":
            return not self.has_fixed_order
        return self.learns and method != "cmaes"


STRATEGIES: Mapping[str, StrategyTraits] = {
    "random": StrategyTraits(
        methods=("uniform", "sobol"), is_sequence=True, packages={"sobol": "scipy"}
    ),
    "grid": StrategyTraits(
        ends_itself=True, has_fixed_order=True, suggests_initial_trials=True, is_sequence=True
    ),
    "bayesian": StrategyTraits(
        methods=("tpe", "gp", "cmaes", "cost-aware"),
        learns=True,
        packages={"cmaes": "cmaes"},
        other_names=("tpe", "gp", "bo"),
    ),
    "hyperband": StrategyTraits(
        is_single_objective=True,
        suggests_initial_trials=True,
        example={"resource": "epochs", "max": 9},
        other_names=("asha", "bohb"),
    ),
    "genetic": StrategyTraits(
        methods=("nsga2", "nsga3"), learns=True, other_names=("nsga2", "evolutionary")
    ),
    "list": StrategyTraits(ends_itself=True, has_fixed_order=True, is_sequence=True),
    "external": StrategyTraits(has_fixed_order=True, is_sequence=True),
}
if TYPE_CHECKING:
    StrategyName = str
else:
    StrategyName = Literal[tuple(STRATEGIES)]

SINGLE_OBJECTIVE: frozenset[str] = frozenset({"cmaes", "cost-aware"})
"""The methods that support only one objective, as do hyperband and early stopping."""
