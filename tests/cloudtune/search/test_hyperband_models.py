"""New trials of hyperband learn from earlier ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.results.events import Ended, Measured
from cloudtune.search.factory import make_strategy
from cloudtune.study.study import Study

NEAR, FAR = 0.15, 0.3


EARLY, LATE = (0.8, 0.2), (0.3, 0.7)


def away(params: Mapping[str, Any], place: tuple[float, float]) -> float:
    return math.dist((params["x"], params["y"]), place)


def by_distance(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Losses whose best is always at one place."""
    steps = [resource] if resource else range(1, 28)
    return [{"loss": away(params, LATE) + 1 / step} for step in steps]


def misleading(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Losses whose best is at one place in the first steps, at another from the ninth on."""
    steps = [resource] if resource else range(1, 28)
    return [{"loss": away(params, EARLY if step < 9 else LATE)} for step in steps]


def good_kinds(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Accuracies of few examples: two kinds learn, the others are never better than chance."""
    steps = [resource] if resource else range(1, 28)
    if params["kind"] not in "ab":
        return [{"loss": 0.9} for _ in steps]
    return [{"loss": round(0.1 + away(params, LATE) / 2 + 0.2 / step, 1)} for step in steps]


def late_learner(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Losses that are all alike in the first steps."""
    return [{"loss": 0.9 if resource == 1 else away(params, LATE)}]


def no_number(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": math.nan}]


@pytest.fixture(params=["named", "steps"])
def study(request: pytest.FixtureRequest, study_of: Callable[..., Study]) -> Study:
    named = {"resource": "epochs"} if request.param == "named" else {}
    return study_of(
        parameters={name: {"type": "float", "min": 0, "max": 1} for name in ("x", "y")},
        strategy={"name": "hyperband", "max": 27, **named},
    )


def drawn(run: Any) -> list[Mapping[str, Any]]:
    """Return the assignment of each new trial."""
    return [found.parameters for found in run.suggestions if found.resumes is None]


def test_most_new_trials_are_near_the_best_and_some_are_random(study: Study, job: Any) -> None:
    run = job(study, by_distance, max_trials=60).run()
    distances = [away(params, LATE) for params in drawn(run)[30:]]
    assert sum(distance < NEAR for distance in distances) > 12
    assert sum(distance > FAR for distance in distances) > 3


def test_the_highest_rung_with_enough_measurements_decides(study: Study, job: Any) -> None:
    run = job(study, misleading, max_trials=60).run()
    assert sum(away(params, LATE) < NEAR for params in drawn(run)[30:]) > 6
    assert sum(away(params, EARLY) < NEAR for params in drawn(run)[30:]) < 5


@pytest.mark.parametrize("losses", [by_distance, misleading])
def test_the_highest_rung_keeps_learning(
    losses: Any, study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(
        parameters={name: {"type": "float", "min": 0, "max": 1} for name in ("x", "y")},
        strategy={"name": "hyperband", "max": 27},
    )
    run = job(study, losses, max_trials=80).run()
    complete = {ended.number for ended in run.ends if ended.state == "completed"}
    assert len(complete & set(range(41, 61))) > 2
    assert len(complete & set(range(61, 81))) > 2


@pytest.mark.parametrize("seed", [5, 7])
@pytest.mark.parametrize("named", [{"resource": "epochs"}, {}])
def test_new_trials_avoid_regions_that_never_get_far(
    named: dict[str, str], seed: int, study_of: Callable[..., Study], job: Any
) -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    study = study_of(
        parameters={
            "kind": {"type": "categorical", "values": [*"abcdefgh"]},
            "x": unit,
            "y": unit,
        },
        strategy={"name": "hyperband", "max": 27, **named},
    )
    run = job(study, good_kinds, seed=seed, max_trials=60).run()
    bad = [params["kind"] not in "ab" for params in drawn(run)[24:]]
    assert sum(bad) < 18
    assert max(sum(bad[i : i + 13]) for i in range(len(bad) - 12)) < 9


def test_rungs_whose_results_are_all_alike_choose_nothing(
    study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(
        parameters={name: {"type": "float", "min": 0, "max": 1} for name in ("x", "y")},
        strategy={"name": "hyperband", "max": 3, "resource": "epochs"},
    )
    random = drawn(job(study, no_number, max_trials=30).run())
    drawn_first = drawn(job(study, late_learner, max_trials=30).run())
    assert drawn_first[:20] == random[:20]
    assert drawn_first[20:] != random[20:]


def test_new_trials_avoid_failed_ones(study: Study, job: Any) -> None:
    def half_fail(params: Mapping[str, Any], resource: int | None) -> Any:
        return None if params["x"] < 0.5 else by_distance(params, resource)

    run = job(study, half_fail, max_trials=60).run()
    assert sum(params["x"] < 0.5 for params in drawn(run)[30:]) < 11


def test_without_measurements_trials_are_random(study: Study, job: Any) -> None:
    run = job(study, no_number, max_trials=40).run()
    assert len({tuple(params.values()) for params in drawn(run)}) == 40


def test_a_rung_counts_a_repeated_trial_once(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(
        parameters={name: {"type": "float", "min": 0, "max": 1} for name in ("x", "y")},
        strategy={"name": "hyperband", "max": 9},
    )
    whole = job(study, misleading, max_trials=25).run()
    for place in (20, 21, 40, 60, 80):
        assert drawn(whole.resume_after(place).run())[-1] == drawn(whole)[-1]


def test_reports_after_a_stop_are_ignored(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(
        parameters={name: {"type": "float", "min": 0, "max": 1} for name in ("x", "y")},
        strategy={"name": "hyperband", "max": 27},
    )
    whole = job(study, by_distance, max_trials=40).run()
    again = make_strategy(study, 0, max_trials=40)
    for event in whole.events:
        if isinstance(event, Ended) and event.state == "stopped_early":
            for step in range(1, 28):
                if again.stop_reason(event.number) is not None:
                    again.tell(Measured(event.number, 0.0, step, {"loss": -1.0}))
            again.tell(replace(event, state="completed") if event.number % 2 else event)
        else:
            again.tell(event)
    assert any(ended.state == "stopped_early" for ended in whole.ends)
    assert [again.ask(index) for index in range(40, 46)] == [
        whole.strategy.ask(index) for index in range(40, 46)
    ]
