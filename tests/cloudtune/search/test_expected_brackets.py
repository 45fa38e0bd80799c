from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from cloudtune.results.events import Measured
from cloudtune.search.expected_brackets import expected_brackets
from cloudtune.study.study import Study

EPOCHS = {"resource": "epochs"}


@pytest.fixture
def study(study_of: Callable[..., Study]) -> Callable[..., Study]:
    def study(**strategy: Any) -> Study:
        return study_of(
            parameters={"x": {"type": "float", "min": 0, "max": 1}},
            strategy={"name": "hyperband", "max": 9} | strategy,
        )

    return study


def by_chance(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    loss = Random(str(params["x"])).random()
    return [{"loss": loss} for _ in range(1 if resource else 9)]


@pytest.mark.parametrize("named", [EPOCHS, {}])
def test_the_numbers_are_those_of_runs(
    named: dict[str, str], study: Callable[..., Study], job: Any
) -> None:
    expected, runs = expected_brackets(study(**named), 30), 10
    total = 0
    for seed in range(runs):
        run = job(study(**named), by_chance, seed=seed, max_trials=30).run()
        amounts: Counter[int] = Counter()
        for event in run.events if not named else ():
            amounts[event.number] += isinstance(event, Measured)
        for start in run.starts if named else ():
            amounts[start.number] = max(amounts[start.number], start.resource)
        total += amounts.total()
    assert expected.total[0] <= total / runs <= expected.total[1]
    assert expected.total[1] < expected.most == 270


def by_order(params: Mapping[str, Any], _resource: int | None) -> list[dict[str, float]]:
    return [{"loss": params["x"] ** 2}]


@pytest.mark.parametrize(("eta", "most", "trials"), [(3, 27, 40), (2, 16, 30), (3, 9, 12)])
def test_runs_whose_trials_get_better_are_within_the_range(
    eta: int, most: int, trials: int, study: Callable[..., Study], job: Any
) -> None:
    of = study(**EPOCHS, eta=eta, max=most)
    low, high = expected_brackets(of, trials).total
    for seed in range(3):
        amounts: dict[int, int] = {}
        for start in job(of, by_order, seed=seed, max_trials=trials).run().starts:
            amounts[start.number] = start.resource
        assert low * 0.9 <= sum(amounts.values()) <= high


@pytest.mark.parametrize("named", [EPOCHS, {}])
def test_trials_are_counted_from_the_rung_of_their_bracket(
    named: dict[str, str], study: Callable[..., Study]
) -> None:
    first, second = expected_brackets(study(**named), 31).brackets
    assert (first.start, [*first.trials], first.trials[1]) == (1, [1, 3, 9], 15)
    assert (second.start, [*second.trials], second.trials[3]) == (3, [3, 9], 16)


def test_a_single_trial_gets_the_maximum(study: Callable[..., Study]) -> None:
    assert expected_brackets(study(**EPOCHS), 1).brackets[0].trials == {3: 1, 9: 1}
    assert expected_brackets(study(**EPOCHS), 1).total == (9, 9)
    assert expected_brackets(study(**EPOCHS), 1).from_scratch == (12, 12)
    assert expected_brackets(study(), 1).from_scratch == (9, 9)


def test_many_trials_are_in_proportion(study: Callable[..., Study]) -> None:
    few, many = (expected_brackets(study(**EPOCHS), count) for count in (200, 100_000))
    assert many.total == pytest.approx([500 * each for each in few.total], rel=0.01)
    assert sum(bracket.trials[bracket.start] for bracket in many.brackets) == 100_000
