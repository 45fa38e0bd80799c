"""The capabilities of a provider, as data.

Nothing is supported by default: a provider sets every field for each of its modes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cloudtune.study.schema import Mode, Scale, Select, StoppingRule, StrategyName

ParameterType = Literal["float", "int", "discrete", "categorical", "bool"]
MethodName = Literal["uniform", "sobol", "tpe", "gp", "cmaes", "nsga2", "nsga3"]
LimitName = Literal[
    "max_trials",
    "parallel_trials",
    "timeout",
    "trial_timeout",
    "max_failed_trials",
    "patience",
    "max_cost",
]
EnforcedName = LimitName | Literal["target"]
WarmStartKind = Literal["same", "transfer"]


@dataclass(frozen=True)
class Limit:
    """A documented limit of a service, with the page and the date it was read."""

    value: int
    source: str


@dataclass(frozen=True)
class ModeCapabilities:
    """The capabilities of a provider in one mode."""

    parameters: Mapping[ParameterType, frozenset[Scale]]
    """The scales supported for each parameter type; other types are not supported."""
    steps: bool
    """Whether float and int ranges can have a step. A step of 1 for int is always supported."""
    conditions: Literal["none", "one_root", "tree"]
    """The supported conditions; ``one_root``: all depend on one categorical or bool parameter."""
    text_only: bool
    """Whether all values are sent to the script, and returned, as text."""
    single_values: bool
    """Whether a parameter can have a single value."""
    strategies: frozenset[StrategyName]
    grid_of_values: bool
    """Whether a grid supports only lists of values."""
    methods: frozenset[MethodName]
    seeds: bool
    objectives: int
    """The maximum number of objectives."""
    targets: bool
    select: frozenset[Select]
    early_stopping: frozenset[StoppingRule]
    limits: frozenset[LimitName]
    """The names of the limits that the service enforces."""
    initial_trials: bool
    warm_start: frozenset[WarmStartKind]
    max_trials: Limit | None
    max_parallel_trials: Limit | None
    max_parameters: Limit | None
    max_values: Limit | None
    max_name_length: Limit | None
    unattended: bool
    """Whether a job continues when the machine that started it is switched off."""
    enforced_here: frozenset[EnforcedName] = frozenset()
    """What cloudtune enforces in managed mode, only while it is running: it cancels the job."""
    memory: Literal["machine", "shared", "trial"] = "machine"
    """Which memory a trial has: that of its machine, which settings choose; that of a machine which
    trials share; or what ``trial.resources`` requests, so that it can start again with more."""
    grid_of_trials: bool = False
    """Whether a grid is sent as a list of trials, so that every parameter is supported."""


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a provider; a mode that is None is not supported."""

    provider: str
    title: str
    verified: str
    """How the capabilities were verified: ``live on DATE`` or ``offline only``."""
    managed: ModeCapabilities | None
    driven: ModeCapabilities | None

    def for_mode(self, mode: Mode) -> ModeCapabilities | None:
        """Return the capabilities of a mode, or None if the provider does not support it."""
        return self.managed if mode == "managed" else self.driven


ALL_SCALES: frozenset[Scale] = frozenset({"linear", "log", "reverse_log", "auto"})

ALL_LIMITS: frozenset[LimitName] = frozenset(get_args(LimitName))

ENFORCED_DRIVEN: frozenset[EnforcedName] = frozenset({*get_args(LimitName), "target"})
"""What cloudtune enforces in driven mode."""

DRIVEN = ModeCapabilities(
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES,
        "discrete": ALL_SCALES,
        "categorical": frozenset(),
        "bool": frozenset(),
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
    limits=ALL_LIMITS,
    initial_trials=True,
    warm_start=frozenset({"same", "transfer"}),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=False,
)
"""The capabilities of cloudtune's engine: the base of every driven mode."""
