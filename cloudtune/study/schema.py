"""The blocks of the study file as pydantic models.

Each model checks a block by itself. `cloudtune.study.validation` checks that the blocks fit
together, so that one pass finds all mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
"""A value of a parameter or constant. The type counts: 1, 1.0, True and "1" are different."""

Number = StrictInt | _FiniteFloat
_Positive = Annotated[StrictInt, Field(ge=1)]
_NotNegative = Annotated[StrictInt, Field(ge=0)]
_Text = Annotated[StrictStr, Field(min_length=1)]
Scale = Literal["linear", "log", "reverse_log", "auto"]
Goal = Literal["maximize", "minimize"]
Select = Literal["last", "best"]
StrategyName = Literal["random", "grid", "bayesian", "hyperband", "genetic", "list"]
StoppingRule = Literal["auto", "median", "bandit", "halving"]
ArgumentStyle = Literal["flags", "equals", "assign", "json", "env", "none"]


@dataclass(frozen=True)
class _ShortForm:
    """Expands the short form of a field into its long form; the JSON Schema accepts both."""

    expand: Callable[[Any], Any]
    schema: Callable[[Any], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        full = handler(schema)
        return {"anyOf": [self.schema(full), full]}


def _text_or_map(key: str, schema: dict[str, Any]) -> _ShortForm:
    """Return a short form that stands for a map with a single key."""
    return _ShortForm(
        lambda value: {key: value} if isinstance(value, str) else value, lambda _: schema
    )


def _as_list(value: Any) -> Any:
    return cast("Any", value) if isinstance(value, list | tuple) else [value]


one_or_many = _ShortForm(_as_list, lambda full: full.get("items", {}))
name_or_map = _text_or_map("name", {"enum": list(get_args(StrategyName))})
rule_or_map = _text_or_map("rule", {"enum": list(get_args(StoppingRule))})

Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "examples": ["90s", "10m", "2h30m"]}),
]
MoneyAmount = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["25 USD"]}),
]


class Model(BaseModel):
    """Base class of the blocks: unknown keys are errors, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


When = dict[str, Annotated[list[Scalar], one_or_many]]


class _Parameter(Model):
    when: When | None = Field(
        default=None,
        description="Condition: the values of other parameters for which this one is active.",
    )


class FloatParameter(_Parameter):
    """A real number between two inclusive bounds."""

    type: Literal["float"] = Field(description="Type of the parameter.")
    min: Number = Field(description="Smallest value, inclusive.")
    max: Number = Field(description="Largest value, inclusive.")
    scale: Scale = Field(default="linear", description="How values are spaced between the bounds.")
    step: Number | None = Field(
        default=None, description="Distance between values, counted from min."
    )


class IntParameter(_Parameter):
    """An integer between two inclusive bounds."""

    type: Literal["int"] = Field(description="Type of the parameter.")
    min: StrictInt = Field(description="Smallest value, inclusive.")
    max: StrictInt = Field(description="Largest value, inclusive.")
    scale: Scale = Field(default="linear", description="How values are spaced between the bounds.")
    step: StrictInt | None = Field(
        default=None, description="Distance between values, counted from min."
    )


def _unify_types(numbers: list[int | float]) -> list[int | float]:
    return list(map(float, numbers)) if any(isinstance(n, float) for n in numbers) else numbers


class DiscreteParameter(_Parameter):
    """One of several ordered numbers."""

    type: Literal["discrete"] = Field(description="Type of the parameter.")
    values: Annotated[list[Number], AfterValidator(_unify_types)] = Field(
        min_length=1, description="Numbers in increasing order."
    )
    scale: Scale = Field(default="linear", description="How the values are spaced.")


class CategoricalParameter(_Parameter):
    """One of several values without an order."""

    type: Literal["categorical"] = Field(description="Type of the parameter.")
    values: list[Scalar] = Field(min_length=1, description="Strings, numbers or booleans.")


class BoolParameter(_Parameter):
    """True or False."""

    type: Literal["bool"] = Field(description="Type of the parameter.")


Parameter = Annotated[
    FloatParameter | IntParameter | DiscreteParameter | CategoricalParameter | BoolParameter,
    Field(discriminator="type"),
]


class Objective(Model):
    """The metric to optimize."""

    metric: _Text = Field(description="Name of the metric.")
    goal: Goal = Field(description="Whether to maximize or minimize the metric.")
    target: Number | None = Field(default=None, description="Value at which the run ends.")
    select: Select = Field(
        default="last",
        description="The measurement that counts for a trial: the last or the best one.",
    )


class Strategy(Model):
    """How the next trials are chosen."""

    name: StrategyName = Field(default="bayesian", description="Name of the strategy.")
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="Makes the choice of trials reproducible."
    )
    method: StrictStr | None = Field(
        default=None,
        description="Algorithm. bayesian: tpe, gp or cmaes (default: gp and tpe in turn); "
        "genetic: nsga2 or nsga3; random: uniform or sobol.",
    )
    resource: StrictStr | None = Field(
        default=None,
        description="Hyperband: name of the argument that sets how long the script trains.",
    )
    min: _Positive | None = Field(
        default=None, description="Hyperband: smallest amount of the resource. Default: 1."
    )
    max: _Positive | None = Field(
        default=None, description="Hyperband: largest amount of the resource."
    )
    eta: Annotated[StrictInt, Field(ge=2)] | None = Field(
        default=None,
        description="Hyperband: one in eta trials is promoted at each rung. Default: 3.",
    )


class Limits(Model):
    """Limits of a job, except max_cost, which limits the run."""

    max_trials: _Positive | None = Field(
        default=None, description="Trials to start, including failed ones."
    )
    parallel_trials: _Positive | None = Field(
        default=None, description="Trials that run at the same time. Default: 1."
    )
    timeout: Seconds | None = Field(
        default=None, description="Duration of the study, for example 2h."
    )
    trial_timeout: Seconds | None = Field(
        default=None, description="Duration of a trial including restarts, for example 10m."
    )
    max_failed_trials: _NotNegative | None = Field(
        default=None, description="Failures to tolerate; the next one ends the run."
    )
    patience: _Positive | None = Field(
        default=None, description="Finished trials without improvement after which the run ends."
    )
    max_cost: MoneyAmount | None = Field(
        default=None, description="Cost of the run, for example 25 USD."
    )

    def with_defaults(self, other: Limits) -> Limits:
        """Return these limits, completed by those of ``other``."""
        return other.model_copy(update=self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the limits that are set, by name."""
        return {name: value for name, value in self if value is not None}


class EarlyStopping(Model):
    """When to stop trials that perform badly."""

    rule: StoppingRule = Field(description="Rule; auto is the rule of the service.")
    min_step: _NotNegative | None = Field(
        default=None, description="First step at which a trial can be stopped."
    )
    interval: _Positive | None = Field(
        default=None, description="Steps between two checks. Default: 1."
    )
    min_trials: _Positive | None = Field(
        default=None,
        description="Trials that must have reached a step before one is stopped there.",
    )
    slack: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="Bandit: allowed distance to the best trial, as a fraction. Default: 0.1.",
    )


class FromEnvironment(Model):
    """A value read from an environment variable when it is needed, and never stored."""

    from_env: _Text = Field(description="Name of the environment variable.")


class Input(Model):
    """The location of an input for one provider."""

    uri: _Text = Field(description="URI or path of the data.")
    content_type: StrictStr | None = Field(
        default=None, description="Media type of the data, for example text/csv."
    )


_address = _text_or_map("uri", {"type": "string"})
_any_provider = _text_or_map("*", {"type": "string"})


class Resources(Model):
    """The resources of one trial."""

    cpus: _Positive | None = Field(default=None, description="CPU threads.")
    gpus: _NotNegative | None = Field(default=None, description="GPUs.")
    memory: Annotated[StrictStr, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] | None = Field(
        default=None, description="Memory, for example 8 GB; used by cloud providers only."
    )


class TrialSpec(Model):
    """The code of a trial, and how to start and measure it."""

    source: Annotated[dict[str, StrictStr], _any_provider] | None = Field(
        default=None, description="Folder to bundle, or the location of the code by provider."
    )
    script: StrictStr | None = Field(default=None, description="Python file, relative to source.")
    module: StrictStr | None = Field(
        default=None, description="Python module, started with python -m."
    )
    command: Annotated[list[StrictStr], Field(min_length=1)] | None = Field(
        default=None, description="Program and arguments; {{name}} inserts a parameter."
    )
    requirements: StrictStr | None = Field(
        default=None, description="Requirements file, relative to source."
    )
    python: StrictStr | None = Field(default=None, description="Local: Python interpreter to use.")
    warm: StrictBool = Field(
        default=True,
        description="Local: start trials from a process that has imported the script's modules.",
    )
    preload: list[StrictStr] | None = Field(
        default=None,
        description="Local: modules that this process imports, instead of the script's.",
    )
    args: list[StrictStr] = Field(
        default=[], description="Fixed arguments, placed before the parameters."
    )
    arguments: ArgumentStyle = Field(
        default="flags", description="How parameters are passed to the script."
    )
    metrics: dict[
        str,
        Annotated[
            list[StrictStr],
            _ShortForm(
                lambda value: [value] if isinstance(value, str) else ([] if value == {} else value),
                lambda _: {"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": 0}]},
            ),
        ],
    ] = Field(default={}, description="Regular expressions that find each metric in the output.")
    inputs: dict[str, Annotated[dict[str, Annotated[Input, _address]], _any_provider]] = Field(
        default={}, description="Location of input data, by name and provider."
    )
    env: dict[str, StrictStr | FromEnvironment] = Field(
        default={}, description="Environment variables of the script."
    )
    resources: Resources = Field(
        default=Resources.model_construct(), description="Resources of one trial."
    )


class WarmStart(Model):
    """Earlier runs or jobs to learn from."""

    from_: Annotated[list[StrictStr], Field(min_length=1), one_or_many] = Field(
        alias="from", description="Run ids, or provider:job."
    )
    kind: Literal["same", "transfer"] = Field(
        default="same",
        description="transfer: the script or data has changed, so the best trials run again.",
    )
