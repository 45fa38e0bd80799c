"""Trials of earlier runs help a search if they are right, and cost it little if they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import pytest

from cloudtune.provider.facts import Parent
from cloudtune.results.events import Started
from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment, trial_rng
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

UNIT = {"type": "float", "min": 0, "max": 1}
Loss = Callable[[Mapping[str, Any]], float]


def loss(params: Mapping[str, Any]) -> float:
    return float((params["x"] - 0.8) ** 2 + 2 * abs(params["y"] - 0.2) + (params["z"] - 0.5) ** 2)


def opposite(params: Mapping[str, Any]) -> float:
    """Return a loss whose best assignments are among the worst, and which is always lower."""
    return float((params["x"] - 0.1) ** 2 + 2 * abs(params["y"] - 0.9) - 10)


@pytest.fixture
def study(study_of: Callable[..., Study]) -> Study:
    parameters = {"x": UNIT, "y": UNIT, "z": UNIT}
    return study_of(parameters=parameters, strategy={"name": "bayesian", "method": "gp"})


def trials_of(study: Study, value: Loss, source: str = "", count: int = 40) -> list[Parent]:
    space = Space.from_study(study)
    axes = build_axes(space)
    found = [complete_assignment(axes, space, {}, trial_rng(7, index)) for index in range(count)]
    return [Parent(each, (value(each),), source) for each in found]


def best_losses(study: Study, job: Any, prior: list[Parent], trials: int) -> float:
    """Return the median of the best losses of five searches."""

    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": loss(params)}]

    runs = [job(study, answer, seed=s, max_trials=trials, prior=prior).run() for s in range(5)]
    return median(min(loss(each.parameters) for each in run.starts) for run in runs)


def test_trials_of_the_same_task_help_from_the_start(study: Study, job: Any) -> None:
    prior = trials_of(study, loss)
    assert best_losses(study, job, prior, 5) < 0.5 * best_losses(study, job, [], 5)


@pytest.mark.slow
def test_trials_that_mislead_cost_little(study: Study, job: Any) -> None:
    prior = trials_of(study, opposite)
    assert best_losses(study, job, prior, 30) < best_losses(study, job, [], 30) + 0.03


def test_the_own_trials_soon_decide_alone(study: Study, job: Any) -> None:
    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": loss(params)}]

    run = job(study, answer, max_trials=11, prior=trials_of(study, opposite)).run()
    alone = job(study, answer)
    for event in run.events:
        if isinstance(event, Started) and event.number > 8:
            assert alone.strategy.ask(event.number - 1).parameters == event.parameters
        alone.tell(event)


@pytest.mark.slow
def test_a_run_that_misleads_does_not_hide_one_that_helps(study: Study, job: Any) -> None:
    right = trials_of(study, loss, "right")
    both = [*trials_of(study, opposite, "wrong"), *right]
    assert best_losses(study, job, both, 15) < 0.5 * best_losses(study, job, [], 15) + 0.02


def test_level_and_scale_of_an_earlier_run_do_not_matter(study: Study, job: Any) -> None:
    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": loss(params)}]

    plain, scaled = (
        job(study, answer, max_trials=12, prior=prior).run().suggestions
        for prior in (
            trials_of(study, loss),
            trials_of(study, lambda params: 1024 * loss(params)),
        )
    )
    assert plain == scaled


def test_a_run_whose_values_are_all_equal_tells_nothing(study: Study, job: Any) -> None:
    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": loss(params)}]

    equal, none = (
        job(study, answer, max_trials=12, prior=prior).run().suggestions
        for prior in (trials_of(study, lambda params: 1.0), [])
    )
    assert equal == none


@pytest.mark.parametrize("parallel", [2, 4])
@pytest.mark.parametrize("fails", [False, True])
def test_several_trials_run_at_a_time(
    study: Study, job: Any, parallel: int, *, fails: bool
) -> None:
    def answer(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
        return None if fails and params["x"] < 0.9 else [{"loss": loss(params)}]

    for seed in range(3):
        run = job(
            study, answer, seed=seed, parallel=parallel, max_trials=12, prior=trials_of(study, loss)
        ).run()
        assert len({tuple(each.parameters.items()) for each in run.starts}) == 12
