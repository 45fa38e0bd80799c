"""Hyperband starts, promotes and stops trials by its definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cloudtune.errors import StudyError
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.search.rungs import rung_levels, starting_rung
from cloudtune.study.study import Study


@pytest.fixture
def study(study_of: Callable[..., Study]) -> Callable[..., Study]:
    def study(**strategy: Any) -> Study:
        return study_of(
            parameters={"x": {"type": "float", "min": 0, "max": 1}},
            strategy={"name": "hyperband", "max": 27} | strategy,
        )

    return study


def by_x(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": params["x"] + 1 / (resource or 1)}]


def always_fails(params: Mapping[str, Any], resource: int | None) -> None:
    return None


def uneven(number: int) -> float:
    return 1 + number * 7 % 5


def resources(run: Any) -> Counter[int]:
    return Counter(started.resource for started in run.starts)


@pytest.mark.parametrize(
    ("minimum", "maximum", "eta", "expected"),
    [
        (1, 27, 3, (1, 3, 9, 27)),
        (1, 100, 3, (1, 3, 9, 27, 100)),
        (2, 9, 2, (2, 4, 9)),
        (5, 5, 3, (5,)),
        (4, 7, 2, (7,)),
    ],
)
def test_rungs_are_powers_of_eta_up_to_max(
    minimum: int, maximum: int, eta: int, expected: tuple[int, ...]
) -> None:
    assert rung_levels(minimum, maximum, eta) == expected


def test_trials_start_at_each_rung_but_the_last_in_turn() -> None:
    assert [starting_rung(index, 4) for index in range(7)] == [2, 1, 0, 2, 1, 0, 2]
    assert [starting_rung(index, 2) for index in range(3)] == [0, 0, 0]
    assert [starting_rung(index, 1) for index in range(3)] == [0, 0, 0]


def test_the_best_third_of_a_rung_is_promoted_at_once(
    study: Callable[..., Study], job: Any
) -> None:
    run = job(study(resource="epochs"), by_x, max_trials=60)
    ended: dict[int, dict[int, float]] = {amount: {} for amount in (1, 3, 9, 27)}
    promoted: dict[int, set[int]] = {amount: set() for amount in ended}
    while isinstance(found := run.ask(), Suggestion) and run.index < 60:
        due = [
            (amount, number)
            for amount in (9, 3, 1)
            for number in sorted(ended[amount], key=ended[amount].__getitem__)[
                : len(ended[amount]) // 3
            ]
            if number not in promoted[amount]
        ]
        if due:
            amount, number = due[0]
            assert (found.resumes, found.resource) == (number, 3 * amount)
            promoted[amount].add(number)
        else:
            assert found.resumes is None
        started = run.start(found)
        run.finish(started)
        ended[started.resource][started.number] = started.parameters["x"]
    assert promoted[9]


def test_a_promoted_trial_is_the_same_trial_with_more(
    study: Callable[..., Study], job: Any
) -> None:
    run = job(study(resource="epochs"), by_x, max_trials=27).run()
    seen: dict[int, Any] = {}
    for started in run.starts:
        if started.number in seen:
            before = seen[started.number]
            assert started.parameters == before.parameters
            assert started.resource == 3 * before.resource
        seen[started.number] = started


@pytest.mark.parametrize("count", [1, 2, 5, 10, 28, 40, 60])
def test_the_best_trial_reaches_max_even_with_few_trials(
    count: int, study: Callable[..., Study], job: Any
) -> None:
    run = job(study(resource="epochs"), by_x, max_trials=count).run()
    assert len({started.number for started in run.starts}) == count
    assert resources(run)[27] >= 1
    lowest = min(run.starts, key=lambda started: started.parameters["x"])
    to_max = {started.number for started in run.starts if started.resource == 27}
    assert lowest.number in to_max


def test_no_worker_is_idle_before_the_last_trials(study: Callable[..., Study], job: Any) -> None:
    run = job(study(resource="epochs"), by_x, max_trials=100, parallel=4, duration=uneven)
    slow = run.start(run.ask())
    while run.index < 100:
        found = run.ask()
        assert isinstance(found, Suggestion)
        run.finish(run.start(found))
    while isinstance(found := run.ask(), Suggestion):
        run.finish(run.start(found))
    assert found == "wait"
    run.finish(slow)
    assert run.run().ask() == "done"
    assert resources(run)[27] > 3


def test_the_best_trial_reaches_max_with_four_workers(
    study: Callable[..., Study], job: Any
) -> None:
    run = job(study(resource="epochs"), by_x, max_trials=49, parallel=4, duration=uneven).run()
    best = min(run.starts, key=lambda started: started.parameters["x"])
    to_max = {started.number for started in run.starts if started.resource == 27}
    assert best.number in to_max
    assert len(to_max) < 49 // 2


def test_failed_trials_are_not_promoted_and_do_not_block(
    study: Callable[..., Study], job: Any
) -> None:
    def some_fail(params: Mapping[str, Any], resource: int | None) -> Any:
        fails = params["x"] < 0.2 or (resource == 9 and params["x"] < 0.4)
        return None if fails else by_x(params, resource)

    run = job(study(resource="epochs"), some_fail, max_trials=27).run()
    failed = {ended.number for ended in run.ends if ended.state == "failed"}
    last = {started.number: started for started in run.starts}
    assert failed
    assert all(last[number].parameters["x"] < 0.4 for number in failed)
    starts = Counter(started.number for started in run.starts if started.number in failed)
    assert all(starts[number] == 1 for number in failed if last[number].parameters["x"] < 0.2)
    assert resources(run)[27] >= 1
    assert run.strategy.ask(27) == "done"
    nothing = job(study(resource="epochs"), always_fails, max_trials=9).run()
    assert len(nothing.starts) == 9


def test_the_goal_maximize_promotes_the_highest(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(
        objective={"metric": "loss", "goal": "maximize"},
        parameters={"x": {"type": "float", "min": 0, "max": 1}},
        strategy={"name": "hyperband", "max": 9, "resource": "epochs"},
    )
    run = job(study, by_x, max_trials=9).run()
    best = max(run.starts, key=lambda started: started.parameters["x"])
    assert best.number in {started.number for started in run.starts if started.resource == 9}


def test_initial_trials_start_first(study_of: Callable[..., Study], job: Any) -> None:
    study = study_of(
        parameters={"x": {"type": "float", "min": 0, "max": 1}},
        strategy={"name": "hyperband", "max": 9, "resource": "epochs"},
        initial_trials=[{"x": 0.25}, {"x": 0}],
    )
    run = job(study, by_x, max_trials=9).run()
    assert [started.parameters["x"] for started in run.starts[:2]] == [0.25, 0.0]
    assert run.starts[0].resource == 3
    assert (2, 9) in {(started.number, started.resource) for started in run.starts}


def test_without_a_resource_trials_start_once_and_stop_at_rungs(
    study: Callable[..., Study], job: Any
) -> None:
    def curve(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        assert resource is None
        return [{"loss": params["x"] + 1 / step} for step in range(1, 28)]

    run = job(study(), curve, max_trials=49).run()
    assert len(run.starts) == 49
    steps = Counter(event.number for event in run.events if hasattr(event, "step"))
    assert set(steps.values()) <= {1, 3, 9, 27}
    assert all(steps[number] >= 9 for number in range(1, 50, 3))
    assert all(steps[number] >= 3 for number in range(2, 50, 3))
    assert steps[1] == 27
    stopped = [ended for ended in run.ends if ended.state == "stopped_early"]
    assert len(stopped) > 20
    assert "step 1 " in "".join(ended.reason or "" for ended in stopped)
    best = min(run.starts, key=lambda started: started.parameters["x"])
    assert steps[best.number] == 27


def test_without_a_resource_brackets_are_ranked_together(
    study_of: Callable[..., Study], job: Any
) -> None:
    def flat(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": params["x"]}] * 27

    values = [0.3, 0.4, 0.5, 0.6, 0.2, 0.1]
    study = study_of(
        parameters={"x": {"type": "float", "min": 0, "max": 1}},
        strategy={"name": "hyperband", "max": 27},
        initial_trials=[{"x": value} for value in values],
    )
    run = job(study, flat, max_trials=6).run()
    steps = Counter(event.number for event in run.events if hasattr(event, "step"))
    assert [steps[number] for number in range(1, 7)] == [27, 3, 1, 9, 27, 27]


def crossing(until: int) -> Callable[[Mapping[str, Any], int | None], list[dict[str, float]]]:
    """Return curves that rank the trials the wrong way round until an epoch."""

    def curve(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        epochs = range(1, (resource or 27) + 1)
        return [{"loss": 2 - params["x"] if epoch < until else params["x"]} for epoch in epochs]

    return curve


def first_resources(run: Any) -> list[int]:
    return [found.resource for found in run.suggestions if found.resumes is None]


@pytest.mark.parametrize(
    ("until", "first_step", "expected"),
    [(1, 1, {1, 3, 9}), (3, 1, {3, 9}), (9, 1, {9}), (3, 0, {3, 9}), (9, 0, {9})],
)
def test_trials_start_above_the_rungs_that_would_stop_the_best(
    until: int, first_step: int, expected: set[int], study: Callable[..., Study], job: Any
) -> None:
    of = study(resource="epochs")
    run = job(of, crossing(until), max_trials=60, first_step=first_step).run()
    assert set(first_resources(run)[-20:]) == expected
    assert set(first_resources(run)[:6]) == {1, 3, 9}


def five_batches_per_epoch(
    params: Mapping[str, Any], resource: int | None
) -> list[dict[str, float]]:
    steps = range(1, 5 * (resource or 27) + 1)
    return [{"loss": 2 - params["x"] if step < 5 else params["x"]} for step in steps]


def nine_epochs(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Return reports of nine epochs with whatever share of the data, the first ones misleading."""
    return [{"loss": 2 - params["x"] if step < 9 else params["x"]} for step in range(1, 10)]


def decaying_rate(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    """Return reports that get good when the learning rate has decayed over the resource."""
    amount = resource or 27
    return [{"loss": params["x"] + 3 * (1 - e / amount)} for e in range(1, amount + 1)]


@pytest.mark.parametrize("report", [five_batches_per_epoch, nine_epochs, decaying_rate])
def test_steps_that_say_nothing_of_an_amount_raise_no_rung(
    report: Any, study: Callable[..., Study], job: Any
) -> None:
    of = study(resource="epochs")
    starts = first_resources(job(of, report, max_trials=60, parallel=8).run())
    assert starts == [9, 3, 1] * 20


def test_rungs_that_agree_are_kept_if_they_promote_few_trials(
    study: Callable[..., Study], job: Any
) -> None:
    def same(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": params["x"]}] * (resource or 1)

    of = study(resource="epochs", eta=8, max=512)
    assert first_resources(job(of, same, max_trials=60).run()) == [64, 8, 1] * 20


def test_a_resumed_run_starts_trials_at_the_same_rungs(
    study: Callable[..., Study], job: Any
) -> None:
    whole = job(study(resource="epochs"), crossing(9), max_trials=40).run()
    proposed = [(found.parameters, found.resource) for found in whole.suggestions]
    assert first_resources(whole)[-6:] == [9] * 6
    for place in range(50, len(whole.events), 61):
        resumed = whole.resume_after(place).run()
        again = [(found.parameters, found.resource) for found in resumed.suggestions]
        assert again == proposed[len(proposed) - len(again) :]


def test_several_objectives_are_refused(study_of: Callable[..., Study]) -> None:
    study = study_of(
        objective=[{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "minimize"}],
        strategy={"name": "hyperband", "max": 9},
    )
    with pytest.raises(StudyError, match="hyperband supports exactly one objective"):
        make_strategy(study, 0)
