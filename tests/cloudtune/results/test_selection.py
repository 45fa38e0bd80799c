"""Trials in the order that a user asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cloudtune.errors import UsageError
from cloudtune.results.selection import sort_trials, top_trials
from tests.cloudtune.comparison.factories import job, make_study, trial

TRIALS = [
    trial(1, 0.5, parameters={"lr": 3.0, "kernel": "rbf"}, seconds=2.0),
    trial(2, 0.9, parameters={"lr": 1.0, "kernel": "poly", "depth": 2}, seconds=1.0),
    trial(3, None, parameters={"lr": 2.0, "kernel": "linear"}),
    trial(4, 0.95, parameters={"lr": 9.0, "kernel": "rbf"}, state="stopped_early", seconds=3.0),
]
JOB = job("p", TRIALS)


def numbers(key: str) -> list[int]:
    return [each.number for each in sort_trials(JOB, TRIALS, key)]


def test_the_best_trials_of_either_goal() -> None:
    assert [each.number for each in top_trials(JOB, TRIALS, 2)] == [2, 1]
    assert [each.number for each in top_trials(JOB, TRIALS, 9)] == [2, 1, 4]
    lowest = job("p", TRIALS, study=make_study(objective={"metric": "loss", "goal": "minimize"}))
    assert [each.number for each in top_trials(lowest, TRIALS, 9)] == [1, 2, 4]


def test_sorting_by_any_column_with_missing_values_last() -> None:
    assert numbers("lr") == [2, 3, 1, 4]
    assert numbers("-lr") == [4, 1, 3, 2]
    assert numbers("accuracy") == [1, 2, 4, 3]
    assert numbers("-seconds") == [4, 1, 2, 3]
    assert numbers("kernel") == [3, 2, 1, 4]
    assert numbers("parameters.depth") == [2, 1, 3, 4]
    assert numbers("-trial") == [4, 3, 2, 1]
    values = {1: 2.0, 2: math.nan, 3: 1.0, 4: 3.0}
    odd = [replace(each, metrics={"size": values[each.number]}) for each in TRIALS]
    assert [each.number for each in sort_trials(JOB, odd, "size")] == [3, 1, 4, 2]
    assert [each.number for each in sort_trials(JOB, odd, "-size")] == [4, 1, 3, 2]
    assert sort_trials(JOB, [], "lr") == []


def test_an_unknown_column_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean kernel"):
        numbers("kernal")


def test_several_objectives_have_no_order() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    with pytest.raises(UsageError, match="--best"):
        top_trials(job("p", [], study=make_study(objective=both)), [], 3)
