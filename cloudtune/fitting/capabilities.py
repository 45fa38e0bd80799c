"""The capabilities of a provider or a tool, as data.

Nothing is supported by default: a provider sets every field for each of its modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from cloudtune.diagnostics import FindingKind
from cloudtune.study.limits import LIMITS
from cloudtune.study.schema import Mode, Parameter, Scale, Select, StoppingRule
from cloudtune.study.strategies import STRATEGIES, StrategyName

ParameterType = Literal["float", "int", "discrete", "categorical", "bool"]
WarmStartKind = Literal["same", "transfer"]


@dataclass(frozen=True)
class Limit:
    """A documented limit of a service, with the page and the date it was read."""

    value: int
    source: str


@dataclass(frozen=True)
class Adjustment:
    """A definition of a parameter in what a tool can express."""

    kind: FindingKind | Literal["note"]
    field: str
    """The key of the parameter that changes, such as ``scale``; empty for the whole."""
    reason: str
    parameter: Parameter


LAUNCHER_FIELDS: frozenset[str] = frozenset(
    [
        *("description", "constants", "confirm", "notify", "trial.seed_argument"),
        *("trial.source", "trial.script", "trial.module", "trial.command", "trial.requirements"),
        *("trial.args", "trial.arguments", "trial.switches", "trial.metrics", "trial.select"),
        *("trial.inputs", "trial.env", "trial.resources", "trial.retry"),
    ]
)
"""What cloudtune and its launcher do themselves, on every service."""
ENGINE_FIELDS: frozenset[str] = frozenset(["strategy", "early_stopping", "constraints"])
"""What cloudtune's engine does, where it chooses the trials."""


@dataclass(frozen=True)
class ModeCapabilities:
    """The capabilities of a provider in one mode, or of a tool."""

    parameters: Mapping[ParameterType, frozenset[Scale]]
    """The scales supported for each parameter type; other types are not supported."""
    steps: bool
    """Whether float and int ranges can have a step. A step of 1 for int is always supported."""
    conditions: Literal["none", "one_root", "choices", "one_definition", "tree"]
    """The supported conditions. ``one_root``: all depend on one categorical or bool parameter;
    ``choices``: each parameter depends on at most one other, whose values are listed;
    ``one_definition``: a parameter has the same definition whatever the condition."""
    text_only: bool
    """Whether all values are sent to the script, and returned, as text."""
    single_values: bool
    """Whether a parameter can have a single value."""
    strategies: frozenset[StrategyName]
    grid_of_values: bool
    """Whether a grid supports only lists of values."""
    methods: frozenset[str] | None
    """The supported methods of strategies; None if the words of a dialect say what is different."""
    seeds: bool
    objectives: int
    """The maximum number of objectives."""
    targets: bool
    select: frozenset[Select]
    early_stopping: frozenset[StoppingRule]
    limits: frozenset[str]
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
    enforced_here: frozenset[str] = frozenset()
    """What cloudtune enforces in managed mode, only while it is running: it cancels the job."""
    memory: Literal["machine", "shared", "trial"] = "machine"
    """Which memory a trial has: that of its machine, which settings choose; that of a machine which
    trials share; or what ``trial.resources`` requests, so that it can start again with more."""
    grid_of_trials: bool = False
    """Whether a grid is sent as a list of trials, so that every parameter is supported."""
    title: str = ""
    """The service of this mode, for messages, if it differs from the title of the provider."""
    launcher: bool = True
    """Whether cloudtune's launcher starts the script. It withholds inactive parameters, restores
    types, and does all that the service does not know. A document of another tool has none."""
    maps: bool = False
    """Whether a document can have maps as values. With the launcher, a service gets their texts."""
    fields: frozenset[str] = LAUNCHER_FIELDS
    """The other fields that are supported, as dotted paths: what is below one is, too. A setting of
    a rule is ``early_stopping.RULE.SETTING`` or, for all rules, ``early_stopping.SETTING``. A field
    that neither another member nor one of these names is dropped."""
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """By field, why it is not supported."""
    log_steps: bool = True
    """Whether a range with a log scale can have a step."""
    aligned_steps: bool = False
    """Whether the values are multiples of the step, rather than counted from the lower bound."""
    adjust: Callable[[Parameter], Adjustment | None] | None = None
    """Returns a definition that this tool can express instead of one that it cannot."""

    def reason(self, path: str, otherwise: str) -> str:
        """Return why a field is not supported: the reason for it, or for what it is in."""
        keys = [key for key in path.split(".") if not key.isdigit()]
        for length in range(len(keys), 0, -1):
            if (reason := self.reasons.get(".".join(keys[:length]))) is not None:
                return reason
        return otherwise


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

ENFORCED_DRIVEN: frozenset[str] = frozenset({*LIMITS, "target"})
"""What cloudtune enforces in driven mode."""
ENFORCED_MANAGED: frozenset[str] = frozenset(
    {*(name for name, traits in LIMITS.items() if traits.is_cancelling), "target"}
)
"""What cloudtune can enforce in managed mode."""

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
    strategies=frozenset(STRATEGIES),
    grid_of_values=False,
    methods=frozenset(method for each in STRATEGIES.values() for method in each.methods),
    seeds=True,
    objectives=1_000,
    targets=True,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset(get_args(StoppingRule)),
    limits=frozenset(LIMITS),
    initial_trials=True,
    warm_start=frozenset({"same", "transfer"}),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=False,
    fields=LAUNCHER_FIELDS | ENGINE_FIELDS,
)
"""The capabilities of cloudtune's engine: the base of every driven mode."""


def without_launcher(
    managed: ModeCapabilities, fields: Iterable[str], reasons: Mapping[str, str], **changes: Any
) -> ModeCapabilities:
    """Return the capabilities of a document of a service, which cloudtune does not run.

    Args:
        managed: Those of the service's tuner, whose reasons hold here, too.
        fields: See `ModeCapabilities.fields`.
        reasons: See `ModeCapabilities.reasons`.
        changes: Other members.
    """
    return replace(
        managed,
        launcher=False,
        enforced_here=frozenset(),
        fields=frozenset(fields),
        reasons={**managed.reasons, **reasons},
        **changes,
    )


NOTHING = ModeCapabilities(
    parameters={},
    steps=False,
    conditions="none",
    text_only=False,
    single_values=True,
    strategies=frozenset(),
    grid_of_values=False,
    methods=None,
    seeds=False,
    objectives=1,
    targets=False,
    select=frozenset({"last"}),
    early_stopping=frozenset(),
    limits=frozenset(),
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=True,
    launcher=False,
    fields=frozenset(),
)
"""The capabilities of a tool that has none: the base of every dialect."""
