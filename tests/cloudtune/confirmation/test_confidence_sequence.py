"""The confidence sequence: against scipy, and with optional stopping."""

from __future__ import annotations

import math
from random import Random

import pytest

from cloudtune.confirmation.confidence_sequence import deviation, half_width, mean_interval

PRECISION = 0.1
"""That of the mixture, as documented."""


@pytest.mark.parametrize("count", [4, 5, 8, 20])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_bound_is_where_the_mixture_reaches_one_over_alpha(count: int, alpha: float) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    stats = pytest.importorskip("scipy.stats")
    width = half_width(count, 1.0, alpha)
    if math.isinf(width):
        assert (count, alpha) == (4, 0.005)
        return
    t = width * math.sqrt(count)
    effects = stats.norm(0, 1 / math.sqrt(PRECISION))

    def density(effect: float) -> float:
        return float(stats.nct.pdf(t, count - 1, effect * math.sqrt(count)) * effects.pdf(effect))

    center = t / math.sqrt(count)
    mixture = integrate.quad(density, -20, 40, points=[center], limit=500)[0]
    ratio = mixture / stats.t.pdf(t, count - 1)
    assert ratio == pytest.approx(1 / alpha, rel=1e-4)


@pytest.mark.parametrize("rule", ["to the end", "when zero is excluded", "when narrow"])
def test_it_holds_whenever_one_stops(rule: str) -> None:
    rng, misses, repetitions = Random(rule), 0, 1000
    for _ in range(repetitions):
        values, is_wrong = list[float](), False
        while len(values) < 40:
            values.append(rng.gauss(0, 1))
            interval = mean_interval(values, 0.05)
            is_wrong = interval.low > 0 or interval.high < 0
            if (rule == "when zero is excluded" and is_wrong) or (
                rule == "when narrow" and interval.high - interval.low < 2
            ):
                break
        misses += is_wrong
    assert misses <= 0.05 * repetitions


def test_an_interval_narrows_and_has_the_scale_of_its_values() -> None:
    widths = [half_width(count, 1.0, 0.05) for count in range(4, 200)]
    assert widths == sorted(widths, reverse=True)
    assert half_width(8, 3.0, 0.05) == pytest.approx(3 * half_width(8, 1.0, 0.05))


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.1] * 30])
def test_equal_values_have_no_bounds(values: list[float]) -> None:
    assert deviation(values) == 0
    interval = mean_interval(values, 0.05)
    assert interval.mean == pytest.approx(values[0])
    assert (interval.low, interval.high) == (-math.inf, math.inf)
