"""What a study can ask for, each as the smallest study that asks it and where a provider answers.

A provider that does not support a feature must say so with a finding at its path; one that does
must not refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cloudtune.fitting.capabilities import Limit, ModeCapabilities, ParameterType
from cloudtune.study.schema import Json, Scale

Supported = Callable[[ModeCapabilities], bool]

PLAIN: Json = {
    "name": "contract",
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "categorical", "values": ["a", "b"]}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 2},
}
"""A study that every provider holds, except that it may have another strategy."""


@dataclass(frozen=True)
class Feature:
    """One thing that a study can ask for."""

    name: str
    study: Json
    """What is put over `PLAIN`."""
    path: str
    """Where the finding must be if it is not supported; its start is enough."""
    supported: Supported
    quiet: bool = False
    """Whether there is an exact way round, so that no finding is needed."""


def _has(table: Literal["strategies", "early_stopping", "limits"], name: str) -> Supported:
    return lambda able: name in getattr(able, table)


def _has_scale(kind: ParameterType, scale: Scale) -> Supported:
    return lambda able: scale in able.parameters.get(kind, ())


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
        lambda able: "bool" in able.parameters,
        quiet=True,
    )
    yield Feature(
        "a step",
        {"parameters": {"y": {"type": "float", "min": 0, "max": 1, "step": 0.25}}},
        "parameters.y",
        lambda able: able.steps and "float" in able.parameters,
        quiet=True,
    )
    yield Feature(
        "a condition",
        {"parameters": {**PLAIN["parameters"], "y": {"type": "bool", "when": {"x": "a"}}}},
        "parameters.y.when",
        lambda able: able.conditions != "none",
    )
    yield Feature(
        "values that are one text",
        {"parameters": {"y": {"type": "categorical", "values": [1, "1"]}}},
        "parameters.y.values",
        lambda able: not able.text_only,
    )


def _searches() -> Iterator[Feature]:
    strategies: Mapping[str, Json] = {
        "random": {"name": "random"},
        "grid": {"name": "grid"},
        "bayesian": {"name": "bayesian"},
        "genetic": {"name": "genetic"},
        "hyperband": {"name": "hyperband", "resource": "epochs", "max": 9},
    }
    for name, strategy in strategies.items():
        yield Feature(
            f"strategy {name}",
            {"strategy": strategy},
            "strategy.name",
            _has("strategies", name),
        )
    yield Feature(
        "strategy list",
        {"strategy": {"name": "list"}, "initial_trials": [{"x": "a"}]},
        "strategy.name",
        lambda able: "list" in able.strategies,
    )
    yield Feature(
        "a method",
        {"strategy": {"name": "bayesian", "method": "tpe"}},
        "strategy.method",
        lambda able: "tpe" in able.methods,
    )
    yield Feature(
        "a seed",
        {"strategy": {"name": "random", "seed": 0}},
        "strategy.seed",
        lambda able: able.seeds,
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
        lambda able: able.objectives > 1,
    )
    yield Feature(
        "a target",
        {"objective": {"metric": "score", "goal": "maximize", "target": 1}},
        "objective.target",
        lambda able: able.targets,
    )
    yield Feature(
        "select best",
        {"objective": {"metric": "score", "goal": "maximize", "select": "best"}},
        "objective.select",
        lambda able: "best" in able.select,
    )
    for rule in ("auto", "median", "bandit", "halving"):
        yield Feature(
            f"early stopping {rule}",
            {"early_stopping": {"rule": rule}},
            "early_stopping",
            _has("early_stopping", rule),
        )
    yield Feature(
        "initial trials",
        {"initial_trials": [{"x": "a"}]},
        "initial_trials",
        lambda able: able.initial_trials,
    )


def _limits() -> Iterator[Feature]:
    limits: Mapping[str, Any] = {
        "timeout": "2h",
        "trial_timeout": "10m",
        "max_failed_trials": 1,
        "patience": 5,
    }
    for name, value in limits.items():
        yield Feature(
            f"limit {name}",
            {"limits": {"max_trials": 2, name: value}},
            f"limits.{name}",
            _has("limits", name),
        )


def beyond(able: ModeCapabilities) -> Iterator[Feature]:
    """Yield a study that goes one beyond each number that a provider documents."""
    numbers: list[tuple[Limit | None, str, Callable[[int], Json]]] = [
        (able.max_trials, "limits.max_trials", lambda n: {"limits": {"max_trials": n}}),
        (
            able.max_parallel_trials,
            "limits.parallel_trials",
            lambda n: {"limits": {"max_trials": n, "parallel_trials": n}},
        ),
        (
            able.max_parameters,
            "parameters",
            lambda n: {"parameters": {f"p{k}": _words(2) for k in range(n)}},
        ),
        (able.max_values, "parameters.y.values", lambda n: {"parameters": {"y": _words(n)}}),
        (able.max_name_length, "parameters.n", lambda n: {"parameters": {"n" * n: _words(2)}}),
    ]
    for limit, path, study in numbers:
        if limit is not None:
            yield Feature(
                f"{limit.value + 1} for {path}", study(limit.value + 1), path, lambda _: False
            )


def _words(count: int) -> Json:
    return {"type": "categorical", "values": [f"v{k}" for k in range(count)]}
