"""The search with a Gaussian process copes with all measurements and spaces."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from random import Random
from statistics import median
from typing import Any, cast

import pytest
from threadpoolctl import (  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
    threadpool_info,
    threadpool_limits,
)

from cloudtune.provider.facts import Parent
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search import warm_search
from cloudtune.search.axes import build_axes
from cloudtune.search.bayesian_turns import describe_models
from cloudtune.search.factory import make_strategy
from cloudtune.search.gaussian_process import Posterior
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

UNIT: dict[str, Any] = {"type": "float", "min": 0, "max": 1}
LETTERS = [*"abcdefghijklmnopqrst"]
SPACES: dict[str, Any] = {
    "one parameter": {"x": UNIT},
    "only categories": {f"c{i}": {"type": "categorical", "values": LETTERS} for i in range(3)},
    "less than there are trials": {"a": {"type": "bool"}, "b": {"type": "int", "min": 1, "max": 4}},
    "one assignment": {"a": {"type": "int", "min": 5, "max": 5}},
    "the widest ranges": {
        "x": {"type": "float", "min": -1e300, "max": 1e300},
        "y": {"type": "float", "min": 5e-324, "max": 1e308, "scale": "log"},
    },
    "conditions": {
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "x": {**UNIT, "when": {"kind": "a"}},
        "n": {"type": "int", "min": 1, "max": 5, "when": {"kind": "b"}},
        "m": {**UNIT, "when": {"n": [1, 2]}},
    },
}


def size(params: Mapping[str, Any]) -> float:
    return sum(math.atan(len(v) if isinstance(v, str) else float(v)) for v in params.values())


VALUES: dict[str, Callable[[Mapping[str, Any], int], float | None]] = {
    "all equal": lambda params, n: 3.0,
    "huge": lambda params, n: (size(params) - 1) * 1e300,
    "the largest": lambda params, n: sys.float_info.max * (-1) ** n,
    "tiny": lambda params, n: size(params) * 1e-310,
    "one far above": lambda params, n: 1e300 if n == 5 else size(params),
    "one far below": lambda params, n: -1e300 if n == 5 else size(params),
    "hardly apart": lambda params, n: 1e9 + size(params) * 1e-6,
    "not finite": lambda params, n: [math.nan, math.inf, -math.inf, size(params)][n % 4],
    "mostly failed": lambda params, n: None if n % 3 else size(params),
    "all failed": lambda params, n: None,
}


def earlier(study: Study, count: int, value: Callable[[Mapping[str, Any]], float]) -> list[Parent]:
    space = Space.from_study(study)
    axes = build_axes(space)
    drawn = [complete_assignment(axes, space, {}, Random(number)) for number in range(count)]
    return [Parent(params, (value(params),)) for params in drawn]


def by_first(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": next(iter(params.values()))}]


def by_sum(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": sum(params.values())}]


@pytest.mark.parametrize(
    ("space", "values", "parallel"),
    [
        (space, values, (1, 4)[(row + column) % 2])
        for row, space in enumerate(SPACES)
        for column, values in enumerate(VALUES)
    ],
)
def test_any_measurements_are_handled(
    space: str, values: str, parallel: int, study_of: Callable[..., Study], job: Any
) -> None:
    count = iter(range(100))

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
        value = VALUES[values](params, next(count))
        return None if value is None else [{"loss": value}]

    study = study_of(parameters=SPACES[space], strategy="bayesian")

    def length(number: int) -> float:
        return Random(number).random()

    run = job(study, answer, max_trials=24, parallel=parallel, duration=length).run()
    assert len(run.starts) == 24
    for started in run.starts:
        assert all(math.isfinite(number) for number in started.memory.get("shape", []))


@pytest.mark.parametrize("method", [None, "gp"])
def test_no_assignment_is_repeated_before_all_are_tried(
    method: str | None, study_of: Callable[..., Study], job: Any
) -> None:
    space = {
        "a": {"type": "int", "min": 1, "max": 4},
        "kind": {"type": "categorical", "values": ["x", "y"]},
        "b": {"type": "int", "min": 1, "max": 7, "when": {"kind": "y"}},
    }
    study = study_of(parameters=space, strategy={"name": "bayesian", "method": method})
    run = job(study, by_first, max_trials=36).run()
    tried = [tuple(started.parameters.items()) for started in run.starts]
    assert len(set(tried[:32])) == 32
    assert len(tried) == 36


def test_a_space_too_large_to_enumerate_is_not_repeated(
    study_of: Callable[..., Study], job: Any
) -> None:
    space = {f"x{i}": {"type": "int", "min": 1, "max": 11} for i in range(3)}
    study = study_of(parameters=space, strategy={"name": "bayesian", "method": "gp"})
    run = job(study, by_sum, max_trials=60).run()
    assert len({tuple(started.parameters.items()) for started in run.starts}) == 60
    assert min(sum(started.parameters.values()) for started in run.starts) == 3


def test_the_first_trials_stratify_each_range(study_of: Callable[..., Study]) -> None:
    space = {"x": UNIT, "n": {"type": "int", "min": 1, "max": 8}, "b": {"type": "bool"}}
    strategy = make_strategy(study_of(parameters=space, strategy="bayesian"), 3)
    suggestions = [strategy.ask(index) for index in range(8)]
    drawn: list[Any] = [each.parameters for each in suggestions if isinstance(each, Suggestion)]
    assert sorted(int(params["x"] * 8) for params in drawn) == [*range(8)]
    assert sorted(params["n"] for params in drawn) == [*range(1, 9)]
    assert sum(params["b"] for params in drawn) == 4
    assert [params["n"] for params in drawn] != sorted(params["n"] for params in drawn)


@pytest.mark.parametrize("known", [100, 150, 400])
def test_hyperparameters_are_refitted_regularly(known: int, study_of: Callable[..., Study]) -> None:
    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy="bayesian")
    found = 0
    strategy = make_strategy(study, 3)

    def tell(number: int, suggestion: Suggestion) -> None:
        strategy.tell(Started(number, 0.0, suggestion.parameters, memory=suggestion.memory))
        loss: Any = suggestion.parameters["x"]
        strategy.tell(Measured(number, 0.0, 1, {"loss": loss}))
        strategy.tell(Ended(number, 0.0, "completed"))

    for number, trial in enumerate(earlier(study, known, lambda params: params["x"]), 1):
        tell(number, Suggestion(trial.parameters))
    for index in range(known, known + 32):
        suggestion = strategy.ask(index)
        assert isinstance(suggestion, Suggestion)
        found += "shape" in suggestion.memory
        tell(index + 1, suggestion)
    assert 4 <= found <= 16


@pytest.mark.parametrize("outlier", [1e300, 1e4])
def test_an_outlier_does_not_mislead_the_search(
    outlier: float, study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(
        parameters={"x": UNIT, "y": UNIT}, strategy={"name": "bayesian", "method": "gp"}
    )

    def distance(params: Mapping[str, float]) -> float:
        return abs(params["x"] - 0.3) + abs(params["y"] - 0.6)

    prior = earlier(study, 20, distance)
    prior[3] = Parent(prior[3].parameters, (outlier,))

    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": distance(params)}]

    run = job(study, answer, 5, 1, 12, prior).run()
    chosen = [each for each in run.starts if "sample" not in each.memory]
    assert median(distance(started.parameters) for started in chosen) < 0.25


@pytest.mark.slow
def test_it_learns_early_where_most_trials_fail(study_of: Callable[..., Study], job: Any) -> None:
    def report(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
        return by_first(params, resource) if params["x"] < 0.25 else None

    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy="bayesian")
    failed: list[int] = []
    for seed in range(5):
        run = job(study, report, seed=seed, max_trials=40).run()
        failed.append(sum(ended.state == "failed" for ended in run.ends))
    assert median(failed) < 20


def test_it_limits_threads_only_while_choosing(
    study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    def threads() -> list[int]:
        pools = cast("list[dict[str, Any]]", threadpool_info())
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    class Watched(Posterior):
        def __init__(self, *params: Any) -> None:
            seen.append(threads())
            super().__init__(*params)

    monkeypatch.setattr(warm_search, "Posterior", Watched)
    study = study_of(parameters={"x": UNIT}, strategy={"name": "bayesian", "method": "gp"})
    with threadpool_limits(2, user_api="blas"):
        make_strategy(study, 1, earlier(study, 10, lambda params: params["x"])).ask(0)
        assert set(threads()) <= {2}
    (inside,) = seen
    assert set(inside) <= {1}


def test_tpe_waits_for_enough_measurements(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy="bayesian")

    def by_estimator(parallel: int) -> list[int]:
        run = job(study, by_first, max_trials=24, parallel=parallel).run()
        return [index for index in range(10, 24) if "shape" not in run.suggestions[index].memory]

    assert by_estimator(1) == [12, 16, 20]
    assert by_estimator(8) == [20]


def test_models_are_described(study_of: Callable[..., Study]) -> None:
    def chosen(**parts: Any) -> str:
        return describe_models(study_of(parameters={"x": UNIT}, **parts)) or ""

    assert "Gaussian process (gp)" in chosen(strategy="bayesian", limits={"max_trials": 50})
    assert "after 250" not in chosen(strategy="bayesian", limits={"max_trials": 50})
    assert "after 250" in chosen(strategy="bayesian", limits={"max_trials": 500})
    assert "after 250" in chosen()
    two = [{"metric": metric, "goal": "minimize"} for metric in ("a", "b")]
    assert "one for each objective" in chosen(objective=two)
    assert "after 250" in chosen(objective=two)
    assert not chosen(strategy={"name": "bayesian", "method": "gp"})
    assert not chosen(strategy="random")
