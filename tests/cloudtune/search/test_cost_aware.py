"""The method `cost-aware` prefers short trials; durations do not matter to any other strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from statistics import median
from typing import Any

import pytest

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

UNIT = {"type": "float", "min": 0, "max": 1}
SPACE = {"x": UNIT, "depth": UNIT, "y": UNIT}
COST_AWARE = {"name": "bayesian", "method": "cost-aware"}
GP = {"name": "bayesian", "method": "gp"}
OTHERS: list[dict[str, Any]] = [
    {"name": name, **({"method": method} if method else {}), **traits.example}
    for name, traits in STRATEGIES.items()
    if name not in {"list", "grid", "external"}
    for method in ("", *traits.methods)
    if method != "cost-aware"
]


def bowl(params: Mapping[str, Any], resource: int | None = None) -> list[dict[str, float]]:
    return [{"loss": (params["x"] - 0.7) ** 2 + (params["y"] - 0.2) ** 2}]


def seconds(params: Mapping[str, Any]) -> float:
    return float(1000 ** params["depth"])


def searches(study_of: Any, job: Any, strategy: Mapping[str, Any], **parts: Any) -> list[Any]:
    of = study_of(parameters=SPACE, strategy=strategy)
    parts = {"seconds": seconds, "max_trials": 25} | parts
    return [job(of, bowl, seed=seed, **parts).run() for seed in range(5)]


def total(run: Any) -> float:
    return sum(seconds(each.parameters) for each in run.starts)


def best(run: Any) -> float:
    return float(min(bowl(each.parameters)[0]["loss"] for each in run.starts))


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 4])
def test_trials_are_short_where_long_ones_are_no_better(
    study_of: Any, job: Any, parallel: int
) -> None:
    aware, plain = (
        searches(study_of, job, strategy, parallel=parallel) for strategy in (COST_AWARE, GP)
    )
    assert median(map(total, aware)) < 0.7 * median(map(total, plain))
    assert median(map(best, aware)) < 0.01


def depth_after(study: Study, count: int, seed: int) -> float:
    """Return the depth of the trial after random ones, where depth helps and noise is large."""
    strategy, random = make_strategy(study, seed), Random(seed)
    for number in range(1, count + 1):
        params = {name: round(random.random(), 6) for name in SPACE}
        loss = 0.3 * random.gauss(0, 1) - params["depth"]
        strategy.tell(Started(number, 0.0, params))
        strategy.tell(Measured(number, 0.0, 1, {"loss": loss}))
        strategy.tell(Ended(number, 0.0, "completed", seconds=seconds(params)))
    asked = strategy.ask(count)
    assert isinstance(asked, Suggestion)
    return float(str(asked.parameters["depth"]))


def test_long_trials_run_once_the_short_ones_are_known(study_of: Callable[..., Study]) -> None:
    of = study_of(parameters=SPACE, strategy=COST_AWARE)
    early, late = ([depth_after(of, count, seed) for seed in range(7)] for count in (10, 80))
    assert median(early) < 0.3
    assert median(late) > 0.7


@pytest.mark.slow
def test_durations_that_differ_less_than_tenfold_do_not_count(study_of: Any, job: Any) -> None:
    def similar(params: Mapping[str, Any]) -> float:
        return float(60 * 9 ** params["depth"])

    def instant(params: Mapping[str, Any]) -> float:
        return float(0.001 * 90 ** params["depth"])  # starting a process takes as long

    alike = [
        [run.suggestions for run in searches(study_of, job, strategy, seconds=durations)]
        for strategy, durations in ((GP, seconds), (COST_AWARE, similar), (COST_AWARE, instant))
    ]
    assert alike[0] == alike[1] == alike[2]


@pytest.mark.parametrize("strategy", OTHERS, ids=str)
def test_a_seed_repeats_every_other_strategy_whatever_its_trials_take(
    study_of: Callable[..., Study], job: Any, strategy: Mapping[str, Any]
) -> None:
    def other(params: Mapping[str, Any]) -> float:
        return float(5000 * (1.01 - params["depth"]))

    of = study_of(parameters=SPACE, strategy=strategy)
    first, second = (
        job(of, bowl, max_trials=16, seconds=durations).run().suggestions
        for durations in (seconds, other)
    )
    assert first == second


def suggestion_after(study: Study, *, failed: float, stopped: float, repeated: float) -> Any:
    """Return the trial after twelve, of which some did not run from start to end."""
    strategy = make_strategy(study, 0)
    for index in range(12):
        asked = strategy.ask(index)
        assert isinstance(asked, Suggestion)
        number, params = index + 1, asked.parameters
        strategy.tell(Started(number, 0.0, params, memory=asked.memory))
        strategy.tell(Measured(number, 0.0, 1, bowl(params)[0]))
        match index % 4:
            case 0:
                strategy.tell(Ended(number, 0.0, "failed", seconds=failed))
            case 1:
                strategy.tell(Ended(number, 0.0, "stopped_early", seconds=stopped))
            case 2:
                strategy.tell(Ended(number, 0.0, "cancelled", seconds=repeated))
                strategy.tell(Started(100 + number, 0.0, params, replaces=number))
                strategy.tell(Measured(100 + number, 0.0, 1, bowl(params)[0]))
                strategy.tell(Ended(100 + number, 0.0, "completed", seconds=repeated))
            case _:
                strategy.tell(Ended(number, 0.0, "completed", seconds=seconds(params)))
    return strategy.ask(12)


def test_only_trials_that_ran_from_start_to_end_count(study_of: Callable[..., Study]) -> None:
    of = study_of(parameters=SPACE, strategy=COST_AWARE)
    plain = suggestion_after(of, failed=50, stopped=50, repeated=50)
    for changed in ({"failed": 0.2}, {"stopped": 9000}, {"repeated": 0.2}):
        assert plain == suggestion_after(
            of, **{"failed": 50, "stopped": 50, "repeated": 50} | changed
        )


@pytest.mark.slow
def test_recorded_durations_give_the_same_trials_again(study_of: Any, job: Any) -> None:
    (whole, *_) = searches(study_of, job, COST_AWARE, max_trials=30)
    ends = [i for i, event in enumerate(whole.events, 1) if isinstance(event, Ended)]
    for count in ends[2:28:5]:
        resumed = whole.resume_after(count)
        index = resumed.index
        assert resumed.run().suggestions == whole.suggestions[index:]


@pytest.mark.parametrize("size", [3, 60])
def test_a_small_space_is_tried_once(study_of: Any, job: Any, size: int) -> None:
    of = study_of(parameters={"depth": {"type": "int", "min": 1, "max": size}}, strategy=COST_AWARE)

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": abs(params["depth"] - 2.5)}]

    def longer(params: Mapping[str, Any]) -> float:
        return float(100 ** (params["depth"] / size))

    run = job(of, answer, max_trials=size, seconds=longer)
    assert len({each.parameters["depth"] for each in run.run().starts}) == size
