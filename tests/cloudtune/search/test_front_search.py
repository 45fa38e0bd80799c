"""With several objectives, Gaussian processes extend the front and cope with all measurements."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from random import Random
from statistics import fmean
from typing import Any

import pytest

from cloudtune.results.events import Started
from cloudtune.search.factory import make_strategy
from cloudtune.study.study import Study

UNIT: dict[str, Any] = {"type": "float", "min": 0, "max": 1}
SPACES: dict[str, Any] = {
    "one parameter": {"x": UNIT},
    "less than there are trials": {"a": {"type": "bool"}, "b": {"type": "int", "min": 1, "max": 4}},
    "one assignment": {"a": {"type": "int", "min": 5, "max": 5}},
    "conditions": {
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "x": {**UNIT, "when": {"kind": "a"}},
        "n": {"type": "int", "min": 1, "max": 5, "when": {"kind": "b"}},
        "m": {**UNIT, "when": {"n": [1, 2]}},
    },
}
CUBE = {f"x{i}": UNIT for i in range(6)}


def goals(*names: str) -> dict[str, Any]:
    return {"objective": [{"metric": name, "goal": "minimize"} for name in names]}


def size(params: Mapping[str, Any]) -> float:
    return sum(math.atan(len(v) if isinstance(v, str) else float(v)) for v in params.values())


PAIRS: dict[str, Callable[[float, int], tuple[float, float] | None]] = {
    "all equal": lambda x, n: (3.0, 3.0),
    "one objective is constant": lambda x, n: (x, 1.0),
    "the objectives are the same": lambda x, n: (x, x),
    "only extremes": lambda x, n: (x, -x),
    "the largest": lambda x, n: (sys.float_info.max * (-1) ** n, x),
    "tiny": lambda x, n: (x * 1e-310, -x * 1e-310),
    "one far above": lambda x, n: (1e300 if n == 5 else x, 1 - x),
    "hardly apart": lambda x, n: (1e9 + x * 1e-6, 1e9 - x * 1e-6),
    "not finite": lambda x, n: (x, [math.nan, math.inf, -math.inf, x][n % 4]),
    "mostly failed": lambda x, n: None if n % 3 else (x, -x),
    "all failed": lambda x, n: None,
}


@pytest.mark.parametrize(
    ("space", "values", "parallel"),
    [
        (space, values, (1, 4)[(row + column) % 2])
        for row, space in enumerate(SPACES)
        for column, values in enumerate(PAIRS)
    ],
)
def test_any_measurements_are_handled(
    space: str, values: str, parallel: int, study_of: Callable[..., Study], job: Any
) -> None:
    count = iter(range(100))

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
        pair = PAIRS[values](size(params), next(count))
        return None if pair is None else [{"a": pair[0], "b": pair[1]}]

    study = study_of(parameters=SPACES[space], strategy="bayesian", **goals("a", "b"))

    def length(number: int) -> float:
        return Random(number).random()

    run = job(study, answer, max_trials=24, parallel=parallel, duration=length).run()
    assert len(run.starts) == 24
    for started in run.starts:
        for theta in started.memory.get("shapes", []):
            assert all(math.isfinite(number) for number in theta)


@pytest.mark.parametrize("method", [None, "gp"])
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_it_continues_identically_after_a_kill(
    method: str | None, names: str, study_of: Callable[..., Study], job: Any
) -> None:
    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
        x = size(params)
        metrics = {"a": x, "b": round((x - 1) ** 2, 1), "c": -x}
        return None if math.modf(x * 10)[0] > 0.9 else [metrics]

    study = study_of(
        parameters=SPACES["conditions"],
        strategy={"name": "bayesian", "method": method},
        **goals(*names),
    )
    whole = job(study, answer, seed=3, max_trials=24).run()
    for place in (20, 41, 60):
        resumed = whole.resume_after(place)
        already = sum(isinstance(event, Started) for event in whole.events[:place])
        resumed.run()
        assert [s.parameters for s in resumed.suggestions] == [
            s.parameters for s in whole.suggestions[already:]
        ]


def zdt2(params: Mapping[str, float]) -> tuple[float, float]:
    far = 1 + 9 * fmean(params[f"x{i}"] for i in range(1, 6))
    return params["x0"], far - params["x0"] ** 2 / far


def uncovered(points: list[tuple[float, float]]) -> float:
    """Return the share of ZDT2's hypervolume up to (1.1, 3) that the points do not cover."""
    area, height = 0.0, 3.0
    for x, y in sorted(points):
        if x < 1.1 and y < height:
            area += (1.1 - x) * (height - y)
            height = y
    return 1 - area / (3 * 1.1 - 1.1 + 1 / 3 + 0.1)


def coverage(job: Any, study: Study, seed: int, trials: int, parallel: int = 1) -> float:
    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        first, second = zdt2(params)
        return [{"a": first, "b": second}]

    run = job(study, answer, seed=seed, max_trials=trials, parallel=parallel).run()
    return uncovered([zdt2(started.parameters) for started in run.starts])


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "bound"), [(1, 0.06), (4, 0.12)])
def test_the_front_is_nearly_covered_after_50_trials(
    parallel: int, bound: float, study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(parameters=CUBE, strategy="bayesian", **goals("a", "b"))
    left = [coverage(job, study, seed, 50, parallel) for seed in range(3)]
    assert fmean(left) < bound, "TPE leaves more than 0.4"


@pytest.mark.slow
def test_the_front_of_three_objectives_is_better_than_by_chance(
    study_of: Callable[..., Study], job: Any
) -> None:
    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        first, second = zdt2(params)
        return [{"a": first, "b": second, "c": (params["x0"] - 0.5) ** 2 + second}]

    def left(strategy: str, seed: int) -> float:
        study = study_of(parameters=CUBE, strategy=strategy, **goals("a", "b", "c"))
        run = job(study, answer, seed=seed, max_trials=40).run()
        return uncovered([zdt2(started.parameters) for started in run.starts])

    assert fmean(left("bayesian", seed) for seed in range(2)) < 0.3
    assert fmean(left("random", seed) for seed in range(2)) > 0.6


@pytest.mark.slow
def test_a_branch_with_steps_does_not_hold_the_search(
    study_of: Callable[..., Study], job: Any
) -> None:
    """The first branch has few distinct values, the second the best trials in a corner."""
    space = {
        "kind": {"type": "categorical", "values": ["plain", "tuned"]},
        "c": {"type": "float", "min": 1e-3, "max": 1e3, "scale": "log"},
        "g": {"type": "float", "min": 1e-4, "max": 1, "scale": "log", "when": {"kind": "tuned"}},
    }

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        c = math.log10(params["c"])
        if params["kind"] == "plain":
            error, count = 0.05 + 0.01 * abs(c), 30.0 - 3 * c
        else:
            distance = (c - 1.5) ** 2 / 3 + (math.log10(params["g"]) + 2.5) ** 2
            error, count = 0.02 + 0.05 * distance, 60.0 + 20 * distance
        return [{"a": round(error * 100) / 100, "b": float(round(count / 3))}]

    for seed in range(4):
        study = study_of(parameters=space, strategy="bayesian", **goals("a", "b"))
        run = job(study, answer, seed=seed, max_trials=50).run()
        best = min(answer(started.parameters, None)[0]["a"] for started in run.starts)
        assert best <= 0.03
        plain = sum(started.parameters["kind"] == "plain" for started in run.starts)
        assert plain < 40


def test_no_assignment_is_repeated_before_all_are_tried(
    study_of: Callable[..., Study], job: Any
) -> None:
    space = {"a": {"type": "int", "min": 1, "max": 6}, "b": {"type": "int", "min": 1, "max": 5}}

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"a": float(params["a"]), "b": float(params["b"] - params["a"])}]

    study = study_of(parameters=space, strategy="bayesian", **goals("a", "b"))
    run = job(study, answer, max_trials=32).run()
    tried = [tuple(started.parameters.items()) for started in run.starts]
    assert len(set(tried[:30])) == 30


def test_hyperparameters_of_one_objective_are_ignored(study_of: Callable[..., Study]) -> None:
    """Ledgers of earlier versions have those of a combination of the objectives."""
    study = study_of(
        parameters=CUBE, strategy={"name": "bayesian", "method": "gp"}, **goals("a", "b")
    )
    strategy = make_strategy(study, 1)
    strategy.tell(Started(1, 0.0, dict.fromkeys(CUBE, 0.5), memory={"shape": [0.0] * 8}))
    assert strategy.ask(1) != "done"
