"""A model looks at the best trials, the last ones and a sample, and never at more."""

from __future__ import annotations

from random import Random

from cloudtune.search.subsample import Subsample


def recalled(scores: list[list[float]], order: list[int], part: int = 5) -> list[int]:
    recall = Subsample(7, len(scores[0]), part)
    for draw in order:
        recall.add(draw, scores[draw])
    return recall.indices()


def test_few_trials_are_all_looked_at() -> None:
    assert recalled([[float(n)] for n in range(15)], [*range(15)]) == [*range(15)]


def test_of_many_it_has_the_best_the_last_and_a_sample() -> None:
    random = Random(1)
    scores = [[random.random()] for _ in range(500)]
    found = recalled(scores, [*range(500)])
    assert len(found) == 15
    assert found == sorted(found)
    assert set(sorted(range(500), key=lambda draw: scores[draw])[:5]) <= set(found)
    assert {495, 496, 497, 498, 499} <= set(found)


def test_the_order_in_which_trials_end_does_not_matter() -> None:
    random = Random(2)
    scores = [[random.choice([0.0, 1.0, 2.0])] for _ in range(60)]
    order = [*range(60)]
    random.shuffle(order)
    assert recalled(scores, order) == recalled(scores, [*range(60)])


def test_the_sample_hardly_changes_from_trial_to_trial() -> None:
    random = Random(3)
    scores = [[random.random()] for _ in range(301)]
    before, after = (set(recalled(scores, [*range(count)])) for count in (300, 301))
    assert len(after - before) <= 3


def test_with_several_objectives_it_has_their_front() -> None:
    front = [[float(n), 10.0 - n] for n in range(4)]
    scores = front + [[20.0 + n, 20.0 + n] for n in range(96)]
    assert {0, 1, 2, 3} <= set(recalled(scores, [*range(100)]))
