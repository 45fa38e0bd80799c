"""Loops that propose one change at a time, on noisy functions whose true values are known."""

from __future__ import annotations

from statistics import fmean

import pytest

from benchmarks.propose import NOISE, play, run_alone, run_with_search


@pytest.mark.slow
def test_the_true_gain_is_in_its_interval() -> None:
    outcomes = [play(number, noise, run_alone) for noise in NOISE for number in range(8)]
    assert fmean(each.covered for each in outcomes) >= 0.95
    assert fmean(each.is_real for each in outcomes) >= 0.5, "it has bounds, and they are narrow"
    assert not any(each.is_real and each.true <= 0 for each in outcomes)


def test_with_the_search_it_gets_as_far_as_keep_or_discard_at_equal_cost() -> None:
    outcomes = [play(number, NOISE[-1], run_with_search) for number in range(6)]
    assert fmean(each.true for each in outcomes) >= fmean(each.by_hand for each in outcomes)
