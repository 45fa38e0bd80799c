"""Who was best, first and cheapest, and how sure that is."""

from __future__ import annotations

import pytest

from cloudtune.comparison.groups import group_jobs
from cloudtune.comparison.rankings import (
    near_best_threshold,
    rank_by_best,
    rank_by_cost,
    rank_by_time,
)
from cloudtune.results.model import StudyResult
from tests.cloudtune.comparison.factories import job, trial


def repeated(provider: str, *bests: float, seed: int = 0) -> list[StudyResult]:
    return [
        job(provider, [0.1, best], run=f"{provider}{n}", seed=seed or n + 1)
        for n, best in enumerate(bests)
    ]


def best_of(*jobs: StudyResult) -> tuple[tuple[str, ...], str, str]:
    found = rank_by_best(group_jobs(jobs), "accuracy", "maximize")
    return found.leaders, found.certainty, found.reason


def test_one_run_each_settles_nothing_however_far_apart() -> None:
    leaders, certainty, why = best_of(job("p", [0.1, 0.9]), job("q", [0.2] * 50))
    assert (leaders, certainty) == (("p",), "not settled")
    assert "each group ran once" in why


def test_repeated_runs_that_are_far_apart_settle_it() -> None:
    jobs = repeated("p", 0.90, 0.91, 0.92) + repeated("q", 0.50, 0.52, 0.51)
    found = rank_by_best(group_jobs(jobs), "accuracy", "maximize")
    assert (found.leaders, found.certainty) == (("p",), "settled")
    assert "Welch" in found.method
    first, last = found.entries
    assert first.label == "p"
    assert first.mean == pytest.approx(0.91)
    assert first.low is not None
    assert first.high is not None
    assert first.low < 0.91 < first.high
    assert last.values == (0.50, 0.52, 0.51)


def test_the_same_the_other_way_round_for_minimize() -> None:
    jobs = repeated("p", 0.90, 0.91, 0.92) + repeated("q", 0.05, 0.06, 0.07)
    found = rank_by_best(group_jobs(jobs), "loss", "minimize")
    assert (found.leaders, found.certainty) == (("q",), "settled")


def test_repeated_runs_that_overlap_do_not_settle_it() -> None:
    leaders, certainty, why = best_of(
        *repeated("p", 0.90, 0.70, 0.80), *repeated("q", 0.72, 0.88, 0.78)
    )
    assert (leaders, certainty) == (("p",), "not settled")
    assert "may be chance" in why


def test_the_nearest_rival_decides() -> None:
    near = [*repeated("q", 0.905, 0.915, 0.925), *repeated("r", 0.1, 0.11, 0.12)]
    assert best_of(*repeated("p", 0.91, 0.92, 0.93), *near)[1] == "not settled"


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        (repeated("p", 0.9, 0.91) + repeated("q", 0.1), "q ran once"),
        (repeated("p", 0.9, 0.91, seed=3) + repeated("q", 0.1, 0.11), "same seed"),
        (repeated("p", 0.9, 0.9) + repeated("q", 0.2, 0.2), "identical values"),
        (repeated("p", 0.9, 0.8) + repeated("q", 0.8, 0.9), "equal"),
        (
            [*repeated("p", 0.9, 0.91), job("q", [None]), job("q", [0.1], run="s", seed=2)],
            "missing",
        ),
    ],
)
def test_what_keeps_it_from_being_settled(jobs: list[StudyResult], why: str) -> None:
    _, certainty, told = best_of(*jobs)
    assert certainty == "not settled"
    assert why in told


def test_one_group_has_nothing_to_compare() -> None:
    assert best_of(*repeated("p", 0.9, 0.8))[:2] == (("p",), "nothing to compare")
    nobody = rank_by_best(group_jobs([job("p", [None])]), "accuracy", "maximize")
    assert (nobody.leaders, nobody.entries[0].values) == ((), (None,))


def test_equal_ones_share_the_lead() -> None:
    assert best_of(job("p", [0.9]), job("q", [0.9]))[0] == ("p", "q")


def test_groups_with_almost_equal_values_share_the_lead() -> None:
    assert best_of(job("p", [0.1, 0.97990]), job("q", [0.1, 0.979899]))[0] == ("p", "q")
    assert best_of(job("p", [0.1, 0.98]), job("q", [0.1, 0.96]))[0] == ("p",)
    many = repeated("p", 0.9000, 0.9001, 0.9002) + repeated("q", 0.8990, 0.8991, 0.8992)
    assert best_of(*many)[1:] == ("not settled", "p and q are equal or almost equal")


def test_near_is_one_percent_of_the_way_from_the_median_to_the_best() -> None:
    groups = group_jobs([job("p", [0.0, 0.5, 1.0]), job("q", [0.5, 0.5])])
    assert near_best_threshold(groups, "maximize") == pytest.approx(0.995)
    assert near_best_threshold(groups, "minimize") == pytest.approx(0.005)
    assert near_best_threshold(group_jobs([job("p", [None])]), "maximize") is None


def test_the_first_is_the_one_that_needed_least_time() -> None:
    slow = job("p", [trial(1, 0.5), trial(2, 1.0, ended=150.0)])
    quick = job("q", [trial(1, 0.5, ended=140.0), trial(2, 0.999, ended=141.0)])
    never = job("r", [0.5, 0.6])
    found = rank_by_time(group_jobs([slow, quick, never]), "maximize")
    assert found.leaders == ("q",)
    assert [(s.label, s.values) for s in found.entries] == [
        ("q", (41.0,)),
        ("p", (50.0,)),
        ("r", (None,)),
    ]
    assert found.certainty == "not settled"


def test_an_unknown_cost_is_not_zero() -> None:
    dear = job("p", [trial(1, 0.5, cost=2.0), trial(2, 0.5, cost=3.0)])
    unknown = job("q", [trial(1, 0.5, cost=0.1), trial(2, 0.5)])
    found = rank_by_cost(group_jobs([dear, unknown]))
    assert (found.leaders, found.unit) == (("p",), "USD")
    assert [(s.label, s.mean) for s in found.entries] == [("p", 5.0), ("q", None)]


def test_currencies_are_not_compared() -> None:
    dollars = job("p", [trial(1, 0.5, cost=2.0)])
    euros = job("q", [trial(1, 0.5, cost=1.0, currency="EUR")])
    assert rank_by_cost(group_jobs([dollars, euros])).leaders == ()
