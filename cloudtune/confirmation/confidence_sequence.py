"""A confidence sequence: intervals of a mean that all hold at once, however often one looks.

It is the set of means that a sequential t-test does not reject: that of Lai (1976, Annals of
Statistics 4(2), 265-280) with a normal instead of a flat mixture over the mean, as in Wang and
Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance",
arXiv:2310.03722v5, read 2026-11-30. The mixture is a likelihood ratio that starts at 1 and, if the
mean is right, is a martingale in what is known of the values without their scale. By Ville's
inequality it ever exceeds 1/alpha with a probability of at most alpha. So one may stop, or add
values, at any time and for any reason. The assumption: the values are independent and normal, with
one unknown variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

_PRECISION = 0.1
"""The inverse variance of the mixture over the effect size, which is in standard deviations. With
this one, intervals are narrowest after about six values."""

_ROUNDING = 1e-12
"""The relative difference of numbers up to which they differ by rounding only."""


class Interval(NamedTuple):
    """A mean and an interval around it, which may be infinite."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float], alpha: float) -> Interval:
    """Return the mean of values and its interval at the present length of the sequence.

    All intervals of the sequence contain the true mean together with a probability of at least
    1 - alpha. Values that are all equal say nothing about their spread, so they have no bounds.
    """
    center = mean(values)
    spread = deviation(values)
    width = half_width(len(values), spread, alpha) if spread else math.inf
    return Interval(center, center - width, center + width)


def half_width(count: int, spread: float, alpha: float) -> float:
    """Return half the width of the interval of so many values with a standard deviation."""
    if count < 2:
        return math.inf
    share = _PRECISION / (count + _PRECISION)
    ratio = math.exp((-math.log(alpha) - 0.5 * math.log(share)) * 2 / count)
    if ratio * share >= 1:
        return math.inf
    return spread * math.sqrt((ratio - 1) / (1 - ratio * share) * (count - 1) / count)


def are_equal(values: Sequence[float], magnitude: float = 0.0) -> bool:
    """Return whether values differ by rounding only.

    Args:
        values: The values.
        magnitude: The magnitude of the numbers that they were computed from, if that is larger.
    """
    largest = max(magnitude, *map(abs, values))
    return max(values) - min(values) <= _ROUNDING * largest


def mean(values: Sequence[float]) -> float:
    """Return the mean of finite values, however large they are."""
    try:
        return fmean(values)
    except OverflowError:  # of their sum
        return math.fsum(value / len(values) for value in values)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of values; 0 if they are equal."""
    if len(values) < 2 or are_equal(values):
        return 0.0
    center = mean(values)
    return math.hypot(*(value - center for value in values)) / math.sqrt(len(values) - 1)


def pooled_deviation(samples: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation that samples with different means share; 0 if unknown."""
    degrees = sum(len(each) - 1 for each in samples if each)
    parts = (math.sqrt(len(each) - 1) * deviation(each) for each in samples if each)
    return math.hypot(*parts) / math.sqrt(degrees) if degrees else 0.0
