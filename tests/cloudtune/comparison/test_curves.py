"""The best so far, against trials, time and money."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.curves import (
    Improvement,
    best_so_far,
    eligible_trials,
    idle_periods,
    job_duration,
)
from cloudtune.results.model import Measurement, best_trial
from tests.cloudtune.comparison.factories import job, trial


def test_only_what_is_better_counts() -> None:
    created = job("p", [0.5, 0.4, None, 0.7, 0.7])
    assert best_so_far(created, 0, "maximize") == [
        Improvement(trial=1, trials=1, seconds=1.0, cost=None, value=0.5),
        Improvement(trial=4, trials=4, seconds=4.0, cost=None, value=0.7),
    ]
    assert [point.value for point in best_so_far(created, 0, "minimize")] == [0.5, 0.4]
    assert job_duration(created) == 5.0


def test_trials_count_in_the_order_of_their_ends() -> None:
    created = job("p", [trial(1, 0.9, ended=120.0), trial(2, 0.5, ended=110.0)])
    found = best_so_far(created, 0, "maximize")
    assert [(p.trial, p.trials, p.seconds) for p in found] == [(2, 1, 10.0), (1, 2, 20.0)]


def test_a_trial_that_waits_for_its_resource_ends_when_it_last_ran() -> None:
    ran = (Measurement(1, {"accuracy": 0.1}, 105.0),)
    waiting = trial(1, 0.1, ended=200.0, state="stopped_early", resource=1, measurements=ran)
    created = job("p", [waiting, trial(2, 0.5, ended=110.0, resource=9)])
    assert [(p.trial, p.trials) for p in best_so_far(created, 0, "maximize")] == [(2, 2)]


def test_money_adds_up_until_a_cost_is_not_known() -> None:
    known = [trial(1, 0.1, cost=1.5), trial(2, 0.2, cost=2.0)]
    created = job("p", [*known, trial(3, 0.3), trial(4, 0.4, cost=1.0)])
    costs = [point.cost for point in best_so_far(created, 0, "maximize")]
    assert costs == [1.5, 3.5, None, None]


def test_the_failed_and_the_cancelled_take_their_time_and_have_no_value() -> None:
    created = job("p", [trial(1, 0.99, state="cancelled"), 0.4])
    assert [(p.trials, p.value) for p in best_so_far(created, 0, "maximize")] == [(2, 0.4)]


def test_stopped_trials_count_only_where_none_completed() -> None:
    stopped = trial(1, 0.9, state="stopped_early")
    assert [t.number for t in eligible_trials([stopped, trial(2, 0.4)])] == [2]
    assert [t.number for t in eligible_trials([stopped])] == [1]


def test_one_of_several_objectives() -> None:
    created = job("p", [trial(1, (0.5, 9.0)), trial(2, (0.6, 7.0))])
    assert [point.value for point in best_so_far(created, 1, "minimize")] == [9.0, 7.0]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30), st.sampled_from(["max", "min"]))
def test_it_rises_and_ends_at_the_best_trial(values: list[float | None], which: str) -> None:
    goal = f"{which}imize"
    created = job("p", values)
    points = best_so_far(created, 0, goal)
    sign = 1 if which == "max" else -1
    reached = [sign * point.value for point in points]
    assert reached == sorted(set(reached))
    assert [p.trials for p in points] == sorted({p.trials for p in points})
    top = best_trial(created.trials, goal)
    assert (points[-1].value if points else None) == (
        top.objective[0] if top and top.objective else None
    )


def test_idle_time_is_in_the_longest_gap_between_trials() -> None:
    killed = trial(2, None, began=101.0, ended=161.0, state="cancelled")
    again = trial(3, 0.7, began=161.5, ended=163.0)
    created = job("p", [trial(1, 0.5), killed, again])
    assert idle_periods(replace(created, idle=60.0)) == ((1.0, 61.5),)
    assert idle_periods(replace(created, idle=0.4)) == ()
    assert idle_periods(created) == ()


def test_idle_time_without_a_long_gap_has_no_position() -> None:
    created = job("p", [trial(1, 0.5, ended=160.0), trial(2, 0.6, began=160.0, ended=161.0)])
    assert idle_periods(replace(created, idle=50.0)) == ()


def test_idle_time_at_the_end_is_found() -> None:
    created = replace(job("p", [0.5]), idle=99.0, ended=200.0)
    assert idle_periods(created) == ((1.0, 100.0),)
