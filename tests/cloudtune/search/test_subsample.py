"""The subsample holds the best trials, the latest ones and a sample, up to its limit."""

from __future__ import annotations

from random import Random

from cloudtune.search.subsample import Subsample


def recalled(scores: list[list[float]], order: list[int], part: int = 5) -> list[int]:
    recall = Subsample(7, len(scores[0]), part)
    for index in order:
        recall.add(index, scores[index])
    return recall.indices()


def test_few_trials_are_all_selected() -> None:
    assert recalled([[float(n)] for n in range(15)], [*range(15)]) == [*range(15)]


def test_many_trials_are_reduced_to_best_latest_and_sample() -> None:
    random = Random(1)
    scores = [[random.random()] for _ in range(500)]
    found = recalled(scores, [*range(500)])
    assert len(found) == 15
    assert found == sorted(found)
    assert set(sorted(range(500), key=lambda index: scores[index])[:5]) <= set(found)
    assert {495, 496, 497, 498, 499} <= set(found)


def test_the_order_in_which_trials_end_does_not_matter() -> None:
    random = Random(2)
    scores = [[random.choice([0.0, 1.0, 2.0])] for _ in range(60)]
    order = [*range(60)]
    random.shuffle(order)
    assert recalled(scores, order) == recalled(scores, [*range(60)])


def test_the_sample_changes_little_from_trial_to_trial() -> None:
    random = Random(3)
    scores = [[random.random()] for _ in range(301)]
    before, after = (set(recalled(scores, [*range(count)])) for count in (300, 301))
    assert len(after - before) <= 3


def test_several_objectives_select_the_pareto_front() -> None:
    front = [[float(n), 10.0 - n] for n in range(4)]
    scores = front + [[20.0 + n, 20.0 + n] for n in range(96)]
    assert {0, 1, 2, 3} <= set(recalled(scores, [*range(100)]))
