"""The features of studies: for each, a minimal study and the path of its finding.

A provider that does not support a feature must report a finding at that path, and one that supports
it must not refuse the study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cloudtune.fitting.capabilities import (
    Limit,
    ModeCapabilities,
    ParameterType,
)
from cloudtune.study.limits import LIMITS
from cloudtune.study.schema import Json, Scale, StoppingRule
from cloudtune.study.strategies import STRATEGIES

Supported = Callable[[ModeCapabilities], bool]

PLAIN: Json = {
    "name": "contract",
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "categorical", "values": ["a", "b"]}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 2},
}
"""A study that every provider supports, possibly with another strategy."""


@dataclass(frozen=True)
class Feature:
    """A feature of a study."""

    name: str
    study: Json
    """The blocks to replace in `PLAIN`."""
    path: str
    """The start of the path of the finding if the feature is not supported."""
    supported: Supported
    has_exact_fit: bool = False
    """Whether cloudtune can express it exactly in another way, so that no finding is needed."""


def _lists(table: Literal["strategies", "early_stopping"], name: str) -> Supported:
    return lambda mode: name in getattr(mode, table)


def _is_limit(name: str) -> Supported:
    return lambda mode: name in mode.limits | mode.enforced_here


def _has_scale(kind: ParameterType, scale: Scale) -> Supported:
    return lambda mode: scale in mode.parameters.get(kind, ())


def features() -> Iterator[Feature]:
    """Yield every feature."""
    yield from _parameters()
    yield from _searches()
    yield from _limits()


def _parameters() -> Iterator[Feature]:
    ranges: Mapping[ParameterType, Json] = {
        "float": {"type": "float", "min": 0.5, "max": 2.5},
        "int": {"type": "int", "min": 1, "max": 4},
        "discrete": {"type": "discrete", "values": [1, 2, 4]},
    }
    for kind, definition in ranges.items():
        scales: tuple[Scale, ...] = ("linear", "log", "reverse_log")
        for scale in scales:
            yield Feature(
                f"{kind} with {scale} scale",
                {"parameters": {"y": {**definition, "scale": scale}}},
                "parameters.y",
                _has_scale(kind, scale),
            )
    yield Feature(
        "bool",
        {"parameters": {"y": {"type": "bool"}}},
        "parameters.y",
        lambda mode: "bool" in mode.parameters,
        has_exact_fit=True,
    )
    yield Feature(
        "a step",
        {"parameters": {"y": {"type": "float", "min": 0, "max": 1, "step": 0.25}}},
        "parameters.y",
        lambda mode: mode.steps and "float" in mode.parameters,
        has_exact_fit=True,
    )
    yield Feature(
        "a condition",
        {"parameters": {**PLAIN["parameters"], "y": {"type": "bool", "when": {"x": "a"}}}},
        "parameters.y.when",
        lambda mode: mode.conditions != "none",
    )
    yield Feature(
        "values with the same text",
        {"parameters": {"y": {"type": "categorical", "values": [1, "1"]}}},
        "parameters.y.values",
        lambda mode: not mode.text_only,
    )


def _searches() -> Iterator[Feature]:
    for name, traits in STRATEGIES.items():
        if name == "list":  # depends on the trials of the study
            continue
        strategy: Json = {"name": name, **traits.example}
        yield Feature(
            f"strategy {name}",
            {"strategy": strategy},
            "strategy.name",
            _lists("strategies", name),
        )
    yield Feature(
        "strategy list",
        {"strategy": {"name": "list"}, "initial_trials": [{"x": "a"}]},
        "strategy.name",
        lambda mode: "list" in mode.strategies,
    )
    yield Feature(
        "a method",
        {"strategy": {"name": "bayesian", "method": "tpe"}},
        "strategy.method",
        lambda mode: "tpe" in (mode.methods or ()),
    )
    yield Feature(
        "a seed",
        {"strategy": {"name": "random", "seed": 0}},
        "strategy.seed",
        lambda mode: mode.seeds,
    )
    yield Feature(
        "several objectives",
        {
            "objective": [
                {"metric": "score", "goal": "maximize"},
                {"metric": "loss", "goal": "minimize"},
            ]
        },
        "objective",
        lambda mode: mode.objectives > 1,
    )
    yield Feature(
        "a target",
        {"objective": {"metric": "score", "goal": "maximize", "target": 1}},
        "objective.target",
        lambda mode: mode.targets or _is_limit("target")(mode),
    )
    yield Feature(
        "select best",
        {"objective": {"metric": "score", "goal": "maximize", "select": "best"}},
        "objective.select",
        lambda mode: "best" in mode.select,
    )
    for rule in get_args(StoppingRule):
        yield Feature(
            f"early stopping {rule}",
            {"early_stopping": {"rule": rule}},
            "early_stopping",
            _lists("early_stopping", rule),
        )
    yield Feature(
        "initial trials",
        {"initial_trials": [{"x": "a"}]},
        "initial_trials",
        lambda mode: mode.initial_trials,
    )


def _limits() -> Iterator[Feature]:
    for name, traits in LIMITS.items():
        if name in {"max_trials", "parallel_trials"} or traits.needs_price:
            continue
        yield Feature(
            f"limit {name}",
            {"limits": {**PLAIN["limits"], name: traits.example}},
            f"limits.{name}",
            _is_limit(name),
        )


def excesses(mode: ModeCapabilities) -> Iterator[Feature]:
    """Yield a feature for each numeric limit of a mode, with a study that exceeds it by one."""
    numbers: list[tuple[Limit | None, str, Callable[[int], Json]]] = [
        (mode.max_trials, "limits.max_trials", lambda n: {"limits": {"max_trials": n}}),
        (
            mode.max_parallel_trials,
            "limits.parallel_trials",
            lambda n: {"limits": {"max_trials": n, "parallel_trials": n}},
        ),
        (
            mode.max_parameters,
            "parameters",
            lambda n: {"parameters": {f"p{k}": _categorical(2) for k in range(n)}},
        ),
        (mode.max_values, "parameters.y.values", lambda n: {"parameters": {"y": _categorical(n)}}),
        (
            mode.max_name_length,
            "parameters.n",
            lambda n: {"parameters": {"n" * n: _categorical(2)}},
        ),
    ]
    for limit, path, study in numbers:
        if limit is not None:
            yield Feature(
                f"{limit.value + 1} for {path}", study(limit.value + 1), path, lambda _: False
            )


def _categorical(count: int) -> Json:
    return {"type": "categorical", "values": [f"v{k}" for k in range(count)]}
