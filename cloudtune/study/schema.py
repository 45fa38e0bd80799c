"""The blocks of the study file as pydantic models.

Each model checks a block by itself. `cloudtune.study.validation` checks that the blocks fit
together, so that one pass finds all mistakes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

from cloudtune.study.limits import Limits as Limits  # noqa: PLC0414 - exported
from cloudtune.study.notify import Notify as Notify  # noqa: PLC0414 - exported
from cloudtune.study.resources import Resources as Resources  # noqa: PLC0414 - exported
from cloudtune.study.resources import Retry, retry_or_map
from cloudtune.study.schema_base import Model as Model  # noqa: PLC0414 - exported
from cloudtune.study.schema_base import NotNegative as _NotNegative
from cloudtune.study.schema_base import Number as Number  # noqa: PLC0414 - exported
from cloudtune.study.schema_base import Positive as _Positive
from cloudtune.study.schema_base import Scalar as Scalar  # noqa: PLC0414 - exported
from cloudtune.study.schema_base import Seconds
from cloudtune.study.schema_base import Text as _Text
from cloudtune.study.schema_base import Value as Value  # noqa: PLC0414 - exported
from cloudtune.study.schema_base import When as When  # noqa: PLC0414 - exported
from cloudtune.study.short_forms import ShortForm, one_or_many, text_or_map
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.strategies import StrategyName as StrategyName  # noqa: PLC0414 - exported

Json = dict[str, Any]
"""A JSON object."""
Mode = Literal["managed", "driven"]

Scale = Literal["linear", "log", "reverse_log", "auto"]
Goal = Literal["maximize", "minimize"]
Select = Literal["last", "best"]
MetricSelect = Literal["last", "min", "max"]
StoppingRule = Literal["auto", "median", "bandit", "halving"]
ArgumentStyle = Literal["flags", "equals", "assign", "json", "env", "none"]


name_or_map = text_or_map("name", {"enum": list(STRATEGIES)})
rule_or_map = text_or_map("rule", {"enum": list(get_args(StoppingRule))})
metric_or_map = text_or_map("metric", {"type": "string"})


_SCALE = (
    "How values are spaced: log for values that differ by factors, such as learning rates; "
    "reverse_log for values that are dense near max; auto chooses linear or log."
)


class _Parameter(Model):
    when: When | None = Field(
        default=None,
        description="Condition: the values of other parameters for which this one is active. All "
        "must hold. An inactive parameter is not passed to the script.",
    )


class FloatParameter(_Parameter):
    """A real number between two inclusive bounds."""

    type: Literal["float"] = Field(description="Type of the parameter.")
    min: Number = Field(description="Smallest value, inclusive.")
    max: Number = Field(description="Largest value, inclusive.")
    scale: Scale = Field(default="linear", description=_SCALE)
    step: Number | None = Field(
        default=None, description="Distance between values, counted from min. Default: any value."
    )


class IntParameter(_Parameter):
    """An integer between two inclusive bounds."""

    type: Literal["int"] = Field(description="Type of the parameter.")
    min: StrictInt = Field(description="Smallest value, inclusive.")
    max: StrictInt = Field(description="Largest value, inclusive.")
    scale: Scale = Field(default="linear", description=_SCALE)
    step: StrictInt | None = Field(
        default=None, description="Distance between values, counted from min. Default: 1."
    )


def _unify_types(numbers: list[int | float]) -> list[int | float]:
    return list(map(float, numbers)) if any(isinstance(n, float) for n in numbers) else numbers


class DiscreteParameter(_Parameter):
    """One of several ordered numbers."""

    type: Literal["discrete"] = Field(description="Type of the parameter.")
    values: Annotated[list[Number], AfterValidator(_unify_types)] = Field(
        min_length=1, description="Numbers in increasing order."
    )
    scale: Scale = Field(default="linear", description=_SCALE)


class CategoricalParameter(_Parameter):
    """One of several values without an order."""

    type: Literal["categorical"] = Field(description="Type of the parameter.")
    values: list[Value] = Field(
        min_length=1,
        description="Strings, numbers or booleans, kept as written. Or maps of them: the script "
        "gets the parts of the chosen map.",
    )


class BoolParameter(_Parameter):
    """True or False."""

    type: Literal["bool"] = Field(description="Type of the parameter.")


Parameter = Annotated[
    FloatParameter | IntParameter | DiscreteParameter | CategoricalParameter | BoolParameter,
    Field(discriminator="type"),
]


class Objective(Model):
    """The metric to optimize."""

    metric: _Text = Field(description="Name of the metric in report() or in trial.metrics.")
    goal: Goal = Field(description="Whether to maximize or minimize the metric.")
    target: Number | None = Field(
        default=None, description="The run ends when a finished trial reaches this value."
    )
    select: Select = Field(
        default="last",
        description="The measurement that counts for a trial: the last one or the best one.",
    )


class Strategy(Model):
    """How the next trials are chosen."""

    name: StrategyName = Field(default="bayesian", description="Name of the strategy.")
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] | None = Field(
        default=None,
        description="Makes the choice of trials reproducible. Default: a random one, which the "
        "plan shows.",
    )
    method: StrictStr | None = Field(
        default=None,
        description="Algorithm. "
        + "; ".join(f"{n}: {', '.join(s.methods)}" for n, s in STRATEGIES.items() if s.methods)
        + ". Default: the first one; for bayesian, gp and tpe in turn.",
    )
    resource: StrictStr | None = Field(
        default=None,
        description="Hyperband: name of the argument that sets how long the script trains, such as "
        "epochs. Without it, hyperband counts the steps that the script reports.",
    )
    min: _Positive | None = Field(
        default=None, description="Hyperband: smallest amount of the resource. Default: 1."
    )
    max: _Positive | None = Field(
        default=None,
        description="Hyperband: largest amount of the resource. Default: none; hyperband needs it.",
    )
    eta: Annotated[StrictInt, Field(ge=2)] | None = Field(
        default=None,
        description="Hyperband: one in eta trials is promoted at each rung. Default: 3.",
    )
    proposals: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Share of the trials that wait for `cloudtune propose`. Default: none wait.",
    )
    proposal_wait: Seconds | None = Field(
        default=None,
        description="How long such a trial waits until the search goes on. Default: 5m.",
    )


class EarlyStopping(Model):
    """When to stop trials that perform badly."""

    rule: StoppingRule = Field(
        description="median: stop a trial that is worse than the median of the others; bandit: one "
        "that is too far from the best; halving: all but the best of eta at each rung; auto: the "
        "rule of the service, and median on this machine."
    )
    min_step: _NotNegative | None = Field(
        default=None,
        description="First step at which a trial can be stopped. Default: the second report, or 1 "
        "for halving.",
    )
    interval: _Positive | None = Field(
        default=None, description="Steps between two checks. Default: 1."
    )
    min_trials: _Positive | None = Field(
        default=None,
        description="Trials that must have reached a step before one is stopped there. Default: "
        "median 5, halving eta, bandit 1.",
    )
    slack: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="Bandit: allowed distance to the best trial, as a fraction. Default: 0.1.",
    )
    slack_amount: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="Bandit: allowed distance to the best trial, in the unit of the metric, "
        "instead of slack.",
    )
    eta: Annotated[StrictInt, Field(ge=2)] | None = Field(
        default=None,
        description="Halving: one in eta trials continues at each rung; the steps of the rungs "
        "are apart by the factor eta. Default: 3.",
    )


class FromEnvironment(Model):
    """A value read from an environment variable when it is needed, and never stored."""

    from_env: _Text = Field(description="Name of the environment variable.")


class Input(Model):
    """The location of an input for one provider."""

    uri: _Text = Field(description="URI of the data, or a path relative to the study file.")
    content_type: StrictStr | None = Field(
        default=None, description="Media type of the data. Default: not set."
    )


_address = text_or_map("uri", {"type": "string"})
_any_provider = text_or_map("*", {"type": "string"})


def _without_dashes(option: str) -> str:
    return option.lstrip("-") or option


class TrialSpec(Model):
    """The code of a trial, and how to start and measure it."""

    source: Annotated[dict[str, StrictStr], _any_provider] | None = Field(
        default=None,
        description="Folder of the code, relative to the study file, or the location of the code "
        "by provider. Default: the folder of the study file.",
    )
    script: StrictStr | None = Field(
        default=None,
        description="Python file, relative to source. Set one of script, module and command.",
    )
    module: StrictStr | None = Field(
        default=None, description="Python module, started with python -m, instead of a script."
    )
    command: Annotated[list[StrictStr], Field(min_length=1)] | None = Field(
        default=None,
        description="Any program with its arguments, instead of a script; {{name}} inserts a "
        "parameter, a constant or an input. No shell is involved.",
    )
    requirements: StrictStr | None = Field(
        default=None,
        description="Requirements file, lock (uv.lock, pylock.toml), or script with packages in "
        "its header, relative to source; services install it, this machine does not.",
    )
    python: StrictStr | None = Field(
        default=None,
        description="Local: Python interpreter to use. Default: that of the active environment.",
    )
    warm: StrictBool = Field(
        default=True,
        description="Local: start trials from a process that has imported the script's modules.",
    )
    preload: list[StrictStr] | None = Field(
        default=None,
        description="Local: modules that this process imports. Default: those that the script "
        "imports at its top.",
    )
    args: list[StrictStr] = Field(
        default=[],
        description="Fixed arguments, before the parameters; {{name}} inserts a parameter, a "
        "constant or an input.",
    )
    arguments: ArgumentStyle = Field(
        default="flags",
        description="How parameters are passed: flags as --lr 0.1, equals as --lr=0.1, assign as "
        "lr=0.1, json as one argument, env as variables. With none, the script calls params().",
    )
    seed_argument: Annotated[_Text, AfterValidator(_without_dashes)] | None = Field(
        default=None,
        description="Name of the script's argument for the seed, such as seed. Default: none; "
        "$CLOUDTUNE_SEED has the seed in any case.",
    )
    switches: dict[str, StrictStr] | None = Field(
        default=None, description="Words of boolean parameters. Default: as in the script's parser."
    )
    metrics: dict[
        str,
        Annotated[
            list[StrictStr],
            ShortForm(
                lambda value: [value] if isinstance(value, str) else ([] if value == {} else value),
                lambda _: {"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": 0}]},
            ),
        ],
    ] = Field(
        default={},
        description="Regular expression that finds each metric in the printed lines, with a group "
        "around the number. Not needed for metrics that the script passes to report().",
    )
    select: dict[str, MetricSelect] = Field(
        default={},
        description="The value that counts of a metric that is no objective: the last, the "
        "smallest or the largest one. Default: last.",
    )
    inputs: dict[str, Annotated[dict[str, Annotated[Input, _address]], _any_provider]] = Field(
        default={},
        description="Data that is not copied, by name: a path or URI, or one for each provider. "
        "The script finds it in inputs() or $CLOUDTUNE_INPUT_NAME.",
    )
    env: dict[str, StrictStr | FromEnvironment] = Field(
        default={},
        description="Environment variables of the script; {from_env: NAME} for a secret.",
    )
    resources: Annotated[list[Resources], one_or_many] = Field(
        default=[],
        description="Resources of one trial: a map, or a list of maps for different conditions.",
    )
    retry: Annotated[Retry, retry_or_map] | None = Field(
        default=None,
        description="Start a trial that ran out of memory again, with more memory.",
    )


class WarmStart(Model):
    """Earlier runs or jobs to learn from."""

    from_: Annotated[list[StrictStr], Field(min_length=1), one_or_many] = Field(
        alias="from",
        description="Ids of earlier runs, files of results (.csv, .jsonl, .parquet), or a job of a "
        "service as provider:job.",
    )
    kind: Literal["same", "transfer"] = Field(
        default="same",
        description="same: learn from the earlier trials. transfer: the script or data has "
        "changed, so the best trials run again.",
    )
