"""The grid is complete, without repeats, in file order, and is enumerated lazily."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudtune.results.events import Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.study import Study

SPACE: dict[str, Any] = {
    "kernel": {"type": "categorical", "values": ["rbf", "poly", True]},
    "gamma": [
        {"type": "discrete", "values": [0.1, 1.0], "when": {"kernel": "rbf"}},
        {"type": "float", "min": 0.0, "max": 1.0, "step": 0.5, "when": {"kernel": "poly"}},
    ],
    "shrink": {"type": "bool"},
    "degree": {"type": "int", "min": 2, "max": 3, "when": {"kernel": "poly", "shrink": True}},
}
SHRINKS: list[tuple[bool, list[dict[str, int]]]] = [
    (False, [{}]),
    (True, [{"degree": 2}, {"degree": 3}]),
]
WHOLE: list[dict[str, Any]] = [
    *({"kernel": "rbf", "gamma": g, "shrink": s} for g in (0.1, 1.0) for s in (False, True)),
    *(
        {"kernel": "poly", "gamma": g, "shrink": s} | degree
        for g in (0.0, 0.5, 1.0)
        for s, degrees in SHRINKS
        for degree in degrees
    ),
    {"kernel": True, "shrink": False},
    {"kernel": True, "shrink": True},
]


def all_of(study: Study) -> list[dict[str, Any]]:
    strategy = make_strategy(study, 0)
    found: list[dict[str, Any]] = []
    while isinstance(suggestion := strategy.ask(len(found)), Suggestion):
        found.append(dict(suggestion.parameters))
        strategy.tell(Started(len(found), 0.0, suggestion.parameters))
    assert suggestion == "done"
    return found


def test_each_assignment_occurs_once_in_order(study_of: Callable[..., Study]) -> None:
    assert all_of(study_of(parameters=SPACE, strategy="grid")) == WHOLE


def test_initial_trials_come_first_and_are_not_repeated(study_of: Callable[..., Study]) -> None:
    initial = [WHOLE[9], {"kernel": True, "shrink": True}]
    found = all_of(study_of(parameters=SPACE, strategy="grid", initial_trials=initial))
    assert found[:2] == initial
    assert found[2:] == [params for params in WHOLE if params not in initial]


def test_values_that_are_equal_in_python_are_distinct(study_of: Callable[..., Study]) -> None:
    values = {"x": {"type": "categorical", "values": [1, True, "1", 0, False]}}
    found = all_of(study_of(parameters=values, strategy="grid", initial_trials=[{"x": True}]))
    assert [params["x"] for params in found] == [True, 1, "1", 0, False]
    assert [type(params["x"]) for params in found] == [bool, int, str, int, bool]


def test_a_huge_grid_starts_at_once(study_of: Callable[..., Study]) -> None:
    long = {"type": "int", "min": 0, "max": 10**12}
    fine = {"type": "float", "min": 0, "max": 1e6, "step": 1e-6}
    strategy = make_strategy(study_of(parameters={"a": long, "b": fine}, strategy="grid"), 0)
    for number in range(1, 4):
        strategy.tell(Started(number, 0.0, {}))
    assert strategy.ask(3) == Suggestion({"a": 0, "b": 3e-6})


def test_a_list_runs_in_order(study_of: Callable[..., Study]) -> None:
    trials: list[dict[str, Any]] = [{"a": 1, "free": "text"}, {"b": 2.5}, {"a": 1, "free": "text"}]
    study = study_of(strategy="list", initial_trials=trials)
    assert all_of(study) == trials
