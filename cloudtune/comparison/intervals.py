"""How sure a mean of few values is, and a difference of two means.

Each value is that of one run. Trials of one run are never taken as repetitions: a search that
learns makes each of them depend on those before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import fmean, variance
from typing import Any

from cloudtune.errors import MissingExtraError

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Where a mean, or a difference of means, may lie."""

    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of a mean, 95 %; None for fewer than two or for equal values.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if len(set(values)) < 2:
        return None
    error = variance(values) / len(values)
    return _around(fmean(values), error, len(values) - 1, LEVEL)


def difference_interval(
    left: Sequence[float], right: Sequence[float], comparisons: int
) -> Interval | None:
    """Return Welch's t interval of the difference of two means.

    Its level is so high that all comparisons together hold with 95 % (Bonferroni).

    Returns:
        None if one side has fewer than two values, or if all values of both sides are equal.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if min(len(left), len(right)) < 2 or (len(set(left)) < 2 and len(set(right)) < 2):
        return None
    errors = [variance(side) / len(side) for side in (left, right)]
    error = sum(errors)
    if not error:  # too small for a number
        return None
    # Welch's and Satterthwaite's degrees of freedom, by shares so that small errors stay numbers.
    shares = [each / error for each in errors]
    freedom = 1 / sum(
        share**2 / (len(side) - 1) for share, side in zip(shares, (left, right), strict=True)
    )
    gap = fmean(left) - fmean(right)
    return _around(gap, error, freedom, 1 - (1 - LEVEL) / comparisons)


def _around(middle: float, error: float, freedom: float, level: float) -> Interval:
    """Return the interval around an estimate from its squared standard error."""
    try:
        stats: Any = import_module("scipy.stats")
    except ImportError as missing:
        raise MissingExtraError("an interval over repeated runs", "report") from missing
    reach = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(error)
    return Interval(middle - reach, middle + reach)
