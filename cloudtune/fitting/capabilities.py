"""What a provider can do, as data, and what is found where a study does not fit it.

Nothing is supported by default: a provider answers every field of each mode that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloudtune.study.schema import Mode


@dataclass(frozen=True)
class Limit:
    """A number that a service documents, with the page and the day it was read."""

    value: int
    source: str


@dataclass(frozen=True)
class ModeCapabilities:
    """What a provider can do in one mode."""

    parameters: Mapping[str, frozenset[str]]
    """The scales that each parameter type can have; a type that is not here is not known."""
    steps: bool
    """Whether float and int ranges may have a step other than the whole numbers."""
    conditions: Literal["none", "one_root", "tree"]
    """Which it can hold; ``one_root``: those that all hang on one categorical or bool parameter."""
    text_only: bool
    """Whether every value reaches the script, and comes back, as text."""
    single_values: bool
    """Whether a parameter may have one value alone."""
    strategies: frozenset[str]
    grid_of_values: bool
    """Whether a grid takes nothing but lists of values."""
    methods: frozenset[str]
    seeds: bool
    objectives: int
    """How many objectives there may be."""
    targets: bool
    select: frozenset[str]
    early_stopping: frozenset[str]
    limits: frozenset[str]
    """The names of the study's limits that are kept."""
    initial_trials: bool
    warm_start: frozenset[str]
    max_trials: Limit | None
    max_parallel_trials: Limit | None
    max_parameters: Limit | None
    max_values: Limit | None
    max_name_length: Limit | None
    unattended: bool
    """Whether the job goes on while the machine that started it is switched off."""
    grid_of_trials: bool = False
    """Whether a grid is sent as the list of its trials, so that it may be of anything."""


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, by mode; a mode that is missing does not exist there."""

    provider: str
    title: str
    verified: str
    """How this was established: ``live on DATE`` or ``offline only``."""
    managed: ModeCapabilities | None
    driven: ModeCapabilities | None

    def for_mode(self, mode: Mode) -> ModeCapabilities | None:
        """Return what one mode can do, or None if the provider does not have it."""
        return self.managed if mode == "managed" else self.driven


ALL_SCALES = frozenset({"linear", "log", "reverse_log", "auto"})

DRIVEN = ModeCapabilities(
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES,
        "discrete": ALL_SCALES,
        "categorical": frozenset[str](),
        "bool": frozenset[str](),
    },
    steps=True,
    conditions="tree",
    text_only=False,
    single_values=True,
    strategies=frozenset({"random", "grid", "bayesian", "hyperband", "genetic", "list"}),
    grid_of_values=False,
    methods=frozenset({"uniform", "sobol", "tpe", "gp", "cmaes", "nsga2", "nsga3"}),
    seeds=True,
    objectives=1_000,
    targets=True,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset({"auto", "median", "bandit", "halving"}),
    limits=frozenset(
        {"max_trials", "parallel_trials", "timeout", "trial_timeout", "max_failed_trials"}
        | {"patience", "max_cost"}
    ),
    initial_trials=True,
    warm_start=frozenset({"same", "transfer"}),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=False,
)
"""What cloudtune's own engine can do, wherever it runs the trials: the start for driven modes."""
