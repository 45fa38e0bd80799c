"""The best trials by several objectives match the definitions, in any order of addition."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import numpy as np
import pytest

from cloudtune.search.pareto import ParetoFronts, front_flags

Scores = tuple[float, ...]


def better(left: Scores, right: Scores) -> bool:
    return left != right and all(a <= b for a, b in zip(left, right, strict=True))


def front_of_each(scores: dict[int, Scores]) -> dict[int, int]:
    """Return the front of each index, by the definition."""
    found: dict[int, int] = {}
    left, front = dict(scores), 0
    while left:
        first = [d for d in left if not any(better(other, left[d]) for other in left.values())]
        found |= dict.fromkeys(first, front)
        left = {index: score for index, score in left.items() if index not in first}
        front += 1
    return found


def some_scores(objectives: int, count: int, seed: int) -> dict[int, Scores]:
    random = Random(seed)
    return {
        index: tuple(float(random.randrange(12)) for _ in range(objectives))
        for index in range(count)
    }


def best(
    scores: Mapping[int, Scores], order: list[int], count: int, *, by_niche: bool = False
) -> list[int]:
    fronts = ParetoFronts(count, len(scores[0]), by_niche=by_niche)
    for index in order:
        fronts.add(index, scores[index])
    return fronts.best()


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("by_niche", [False, True])
def test_earlier_fronts_come_first_in_any_order_of_addition(
    objectives: int, by_niche: bool
) -> None:
    for seed in range(10):
        scores = some_scores(objectives, 60, seed)
        front = front_of_each(scores)
        found = best(scores, [*scores], 8, by_niche=by_niche)
        assert [front[index] for index in found] == sorted(front.values())[:8]
        for other in range(5):
            order = Random(other).sample([*scores], len(scores))
            assert best(scores, order, 8, by_niche=by_niche) == found


def test_few_trials_are_all_returned() -> None:
    assert best({0: (2.0, 1.0), 1: (1.0, 2.0)}, [1, 0], 8) == [0, 1]
    assert ParetoFronts(8, 2).best() == []
    assert ParetoFronts(8, 3, by_niche=True).best() == []


def test_extremes_and_sparse_regions_come_first_by_crowding() -> None:
    places = [0.0, 0.05, 0.1, 0.6, 1.0]
    scores = {index: (x, 1 - x) for index, x in enumerate(places)}
    assert set(best(scores, [*scores], 2)) == {0, 4}
    assert best(scores, [*scores], 3)[2] == 3


def test_the_nearest_trial_of_each_direction_comes_first_by_niche() -> None:
    near = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    crowd = [(0.9 - k / 100, 0.05 + k / 100, 0.05) for k in range(10)]
    scores = dict(enumerate([*crowd, *near]))
    assert set(best(scores, [*scores], 3, by_niche=True)) == {10, 11, 12}


def test_the_front_has_each_of_equal_trials_once() -> None:
    scores = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 2.0], [1.0, 3.0]])
    assert list(front_flags(scores)) == [True, True, False, False, False]
