"""The study model: the provider-neutral description of what to tune.

The classes hold what the file says, with types; whether the parts fit together is decided in
`cloudtune.study.validation`, so that one pass finds every mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from cloudtune.study.quantities import Money, format_duration, parse_duration, parse_money

Json = dict[str, Any]
"""A JSON object."""
Mode = Literal["managed", "driven"]

_FiniteFloat = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Scalar = StrictBool | StrictInt | _FiniteFloat | StrictStr
"""A value that a script can be given. Its type is part of it: 1, 1.0, True and "1" differ."""

Number = StrictInt | _FiniteFloat
Scale = Literal["linear", "log", "reverse_log", "auto"]
Goal = Literal["maximize", "minimize"]
Select = Literal["last", "best"]
StrategyName = Literal["random", "grid", "bayesian", "hyperband", "genetic", "list"]
StoppingRule = Literal["auto", "median", "bandit", "halving"]
ArgumentStyle = Literal["flags", "equals", "assign", "json", "env", "none"]


class _ShortForm:
    """Rewrites the short way to write a field into its long form; the schema has both."""

    def __init__(self, rewrite: Callable[[Any], Any], short: Callable[[Any], Any]) -> None:
        self.rewrite = rewrite
        self.short = short

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.rewrite, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        full = handler(schema)
        return {"anyOf": [self.short(full), full]}


def _as_list(value: Any) -> Any:
    return cast("Any", value) if isinstance(value, list | tuple) else [value]


one_or_many = _ShortForm(
    _as_list,
    lambda full: full.get("items", {}),
)
name_or_map = _ShortForm(
    lambda value: {"name": value} if isinstance(value, str) else value,
    lambda _: {"enum": list(get_args(StrategyName))},
)
rule_or_map = _ShortForm(
    lambda value: {"rule": value} if isinstance(value, str) else value,
    lambda _: {"enum": list(get_args(StoppingRule))},
)

Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "examples": ["90s", "10m", "2h30m"]}),
]
Price = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["25 USD"]}),
]


class Model(BaseModel):
    """Base of every part of a study: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


When = dict[str, Annotated[list[Scalar], one_or_many]]


class _Parameter(Model):
    when: When | None = Field(
        default=None, description="Values of other parameters under which this one is active."
    )


class FloatParameter(_Parameter):
    """A real number between two inclusive bounds."""

    type: Literal["float"]
    min: Number = Field(description="Smallest value, included.")
    max: Number = Field(description="Largest value, included.")
    scale: Scale = Field(default="linear", description="How values are spread between the bounds.")
    step: Number | None = Field(default=None, description="Makes a grid that includes min.")


class IntParameter(_Parameter):
    """A whole number between two inclusive bounds."""

    type: Literal["int"]
    min: StrictInt = Field(description="Smallest value, included.")
    max: StrictInt = Field(description="Largest value, included.")
    scale: Scale = Field(default="linear", description="How values are spread between the bounds.")
    step: StrictInt | None = Field(default=None, description="Makes a grid that includes min.")


def _unify_types(numbers: list[int | float]) -> list[int | float]:
    return list(map(float, numbers)) if any(isinstance(n, float) for n in numbers) else numbers


class DiscreteParameter(_Parameter):
    """One of several ordered numbers."""

    type: Literal["discrete"]
    values: Annotated[list[Number], AfterValidator(_unify_types)] = Field(
        min_length=1, description="Rising numbers; whole ones among others are read as 1.0."
    )
    scale: Scale = Field(default="linear", description="How the values are spread.")


class CategoricalParameter(_Parameter):
    """One of several values without an order."""

    type: Literal["categorical"]
    values: list[Scalar] = Field(min_length=1, description="Words, numbers or booleans.")


class BoolParameter(_Parameter):
    """True or False."""

    type: Literal["bool"]


Parameter = Annotated[
    FloatParameter | IntParameter | DiscreteParameter | CategoricalParameter | BoolParameter,
    Field(discriminator="type"),
]


class Objective(Model):
    """The metric that is optimised."""

    metric: Annotated[StrictStr, Field(min_length=1)] = Field(description="Name of the metric.")
    goal: Goal
    target: Number | None = Field(default=None, description="The run ends when a trial reaches it.")
    select: Select = Field(default="last", description="Which measurement of a trial counts.")


class Strategy(Model):
    """How the next trials are chosen."""

    name: StrategyName = "bayesian"
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="Makes the choice of trials repeatable."
    )
    method: StrictStr | None = Field(
        default=None,
        description="One algorithm of the family: bayesian tpe, gp, cmaes (left out: gp and tpe in "
        "turns); genetic nsga2, nsga3; random uniform, sobol.",
    )
    resource: StrictStr | None = Field(
        default=None,
        description="Hyperband: the name under which the script is told how long to train.",
    )
    min: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Hyperband: smallest amount of the resource (1 when left out)."
    )
    max: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Hyperband: largest amount of the resource."
    )
    eta: Annotated[StrictInt, Field(ge=2)] | None = Field(
        default=None,
        description="Hyperband: one trial in eta goes on at each rung (3 when left out).",
    )


class Limits(Model):
    """When a job ends; per job, except max_cost, which is per run."""

    max_trials: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Trials started, failed ones included."
    )
    parallel_trials: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Trials at one time (1 when left out)."
    )
    timeout: Seconds | None = Field(default=None, description="The whole study.")
    trial_timeout: Seconds | None = Field(default=None, description="One trial, with its restarts.")
    max_failed_trials: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="Failures that are tolerated; the next one ends the run."
    )
    patience: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Finished trials without a better objective before the run ends."
    )
    max_cost: Price | None = Field(default=None, description="What the run may cost, as 25 USD.")

    def with_defaults(self, other: Limits) -> Limits:
        """Return these limits, with those of ``other`` where this one has none."""
        return other.model_copy(update=self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the limits that are set, as the Python values that they hold."""
        return {name: value for name, value in self if value is not None}


class EarlyStopping(Model):
    """When a trial that does badly is stopped."""

    rule: StoppingRule
    min_step: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="No trial is stopped before this step."
    )
    interval: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Look at every n-th step (1 when left out)."
    )
    min_trials: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Trials that must have reached the step before one is stopped."
    )
    slack: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="Bandit: allowed distance to the best, as a share of it (0.1)."
    )


class FromEnvironment(Model):
    """A value that is taken from the caller's environment at the call and stored nowhere."""

    from_env: Annotated[StrictStr, Field(min_length=1)]


class Input(Model):
    """Where one input lies for one provider."""

    uri: Annotated[StrictStr, Field(min_length=1)]
    content_type: StrictStr | None = None


_address = _ShortForm(
    lambda value: {"uri": value} if isinstance(value, str) else value,
    lambda _: {"type": "string"},
)
_any_provider = _ShortForm(
    lambda value: {"*": value} if isinstance(value, str) else value,
    lambda _: {"type": "string"},
)


class Resources(Model):
    """What one trial needs."""

    cpus: Annotated[StrictInt, Field(ge=1)] | None = Field(default=None, description="Threads.")
    gpus: Annotated[StrictInt, Field(ge=0)] | None = None
    memory: Annotated[StrictStr, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] | None = Field(
        default=None, description="As 8 GB; asked of the clouds."
    )


class TrialSpec(Model):
    """The code of a trial and how it is called and measured."""

    source: Annotated[dict[str, StrictStr], _any_provider] | None = Field(
        default=None, description="Folder that is bundled, or where the code lies, by provider."
    )
    script: StrictStr | None = Field(
        default=None, description="Python file, relative to the source."
    )
    module: StrictStr | None = Field(default=None, description="Python module, run as python -m.")
    command: Annotated[list[StrictStr], Field(min_length=1)] | None = Field(
        default=None, description="Program and words; {{name}} stands for a parameter."
    )
    requirements: StrictStr | None = Field(
        default=None, description="Requirements file in the source."
    )
    python: StrictStr | None = Field(default=None, description="Local: the Python that runs it.")
    warm: StrictBool = Field(
        default=True,
        description="Local: start trials from a process that has imported what the script imports.",
    )
    preload: list[StrictStr] | None = Field(
        default=None,
        description="Local: the modules that it imports, in place of those at the script's top.",
    )
    args: list[StrictStr] = Field(default=[], description="Fixed words, before the parameters.")
    arguments: ArgumentStyle = Field(default="flags", description="How parameters are appended.")
    metrics: dict[
        str,
        Annotated[
            list[StrictStr],
            _ShortForm(
                lambda value: [value] if isinstance(value, str) else ([] if value == {} else value),
                lambda _: {"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": 0}]},
            ),
        ],
    ] = Field(default={}, description="Expressions that find each metric in what is printed.")
    inputs: dict[str, Annotated[dict[str, Annotated[Input, _address]], _any_provider]] = Field(
        default={}, description="Data by name, then by provider."
    )
    env: dict[str, StrictStr | FromEnvironment] = Field(
        default={}, description="Environment variables of the script."
    )
    resources: Resources = Field(
        default=Resources.model_construct(), description="What one trial needs."
    )


class WarmStart(Model):
    """Earlier runs or jobs whose trials are known from the start."""

    from_: Annotated[list[StrictStr], Field(min_length=1), one_or_many] = Field(
        alias="from", description="Runs of the ledger, or provider:job."
    )
    kind: Literal["same", "transfer"] = Field(
        default="same",
        description="transfer: the script or the data has changed since, so the best run again.",
    )
