"""The genetic search covers a space without repeats and learns from its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

UNIT: dict[str, Any] = {"type": "float", "min": 0, "max": 1}
SMALL: dict[str, Any] = {
    "kind": {"type": "categorical", "values": ["a", "b", "c", "d"]},
    "deep": {"type": "bool"},
    "layers": {"type": "int", "min": 1, "max": 5, "when": {"deep": True}},
}
"""4 * (1 + 5) assignments."""


def two(**parts: Any) -> dict[str, Any]:
    return {"objective": [{"metric": m, "goal": "minimize"} for m in ("a", "b")], **parts}


def same(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": 0.0, "a": 0.0, "b": 0.0}]


def fails(params: Mapping[str, Any], resource: int | None) -> None:
    return None


def distinct(run: Any) -> int:
    return len({tuple(started.parameters.items()) for started in run.starts})


@pytest.mark.parametrize("report", [same, fails])
@pytest.mark.parametrize("parallel", [1, 6])
def test_a_small_space_is_exhausted_before_repeats(
    report: Any, parallel: int, study_of: Callable[..., Study], job: Any
) -> None:
    for parts in ({}, two()):
        study = study_of(parameters=SMALL, strategy="genetic", **parts)
        run = job(study, report, max_trials=24, parallel=parallel).run()
        assert distinct(run) == 24
        assert job(study, report, max_trials=30, parallel=parallel).run().number == 30


def test_a_space_of_one_assignment_is_repeated(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(parameters={"x": {"type": "int", "min": 3, "max": 3}}, strategy="genetic")
    run = job(study, same, max_trials=12).run()
    assert [started.parameters for started in run.starts] == [{"x": 3}] * 12


def test_the_first_trials_fill_each_range_evenly(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy="genetic")
    run = job(study, same, max_trials=10).run()
    for name in ("x", "y"):
        assert sorted(int(10 * s.parameters[name]) for s in run.starts) == list(range(10))


@pytest.mark.parametrize("method", STRATEGIES["genetic"].methods)
def test_the_next_trial_does_not_depend_on_the_order_in_which_trials_ended(
    method: str, study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(
        parameters={f"x{i}": UNIT for i in range(3)},
        strategy={"name": "genetic", "method": method},
        **two(),
    )

    def after(order: list[int]) -> Suggestion | str:
        strategy = make_strategy(study, 5)
        random = Random(1)
        params = [{f"x{i}": random.random() for i in range(3)} for _ in range(60)]
        for index, parameters in enumerate(params):
            strategy.tell(Started(index + 1, 0.0, parameters))
        for index in order:
            x = params[index]
            strategy.tell(Measured(index + 1, 0.0, 1, {"a": x["x0"], "b": x["x1"] + x["x2"]}))
            strategy.tell(Ended(index + 1, 0.0, "completed"))
        return strategy.ask(60)

    first = after(list(range(60)))
    for seed in range(6):
        assert after(Random(seed).sample(range(60), 60)) == first


def test_two_objectives_converge_to_the_pareto_front(
    study_of: Callable[..., Study], job: Any
) -> None:
    def report(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        waste = sum(params[f"w{i}"] for i in range(6))
        return [{"a": params["x"] + waste, "b": 1 - params["x"] + waste}]

    study = study_of(
        parameters={"x": UNIT} | {f"w{i}": UNIT for i in range(6)}, strategy="genetic", **two()
    )
    run = job(study, report, max_trials=150, parallel=3).run()
    late = [s.parameters for s in run.starts[-50:]]
    wastes = sorted(sum(params[f"w{i}"] for i in range(6)) for params in late)
    assert wastes[25] < 0.8, "by chance it is 3"
    xs = [params["x"] for params in late]
    assert max(xs) - min(xs) > 0.5, "one end of the front is not all"
