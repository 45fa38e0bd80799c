"""Confidence intervals of the mean of few values, and of the difference between two means.

Each value is that of one run. The trials of one run are never treated as repetitions, because in a
search that learns, each trial depends on the ones before it.
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
    """A confidence interval."""

    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of a mean at 95 %.

    Returns:
        None for fewer than two values, and if all values are equal.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if len(set(values)) < 2:
        return None
    squared_error = variance(values) / len(values)
    return _interval(fmean(values), squared_error, len(values) - 1, LEVEL)


def difference_interval(
    left: Sequence[float], right: Sequence[float], comparisons: int
) -> Interval | None:
    """Return Welch's t interval of the difference between two means.

    Args:
        left: The values of one side.
        right: The values of the other side.
        comparisons: The number of comparisons that must hold together with 95 % (Bonferroni).

    Returns:
        None if one side has fewer than two values, and if all values of both sides are equal.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if min(len(left), len(right)) < 2 or (len(set(left)) < 2 and len(set(right)) < 2):
        return None
    squared_errors = [variance(side) / len(side) for side in (left, right)]
    squared_error = sum(squared_errors)
    if not squared_error:  # underflow
        return None
    # Welch-Satterthwaite degrees of freedom, computed from shares to avoid underflow.
    shares = [each / squared_error for each in squared_errors]
    freedom = 1 / sum(
        share**2 / (len(side) - 1) for share, side in zip(shares, (left, right), strict=True)
    )
    difference = fmean(left) - fmean(right)
    return _interval(difference, squared_error, freedom, 1 - (1 - LEVEL) / comparisons)


def _interval(estimate: float, squared_error: float, freedom: float, level: float) -> Interval:
    try:
        stats: Any = import_module("scipy.stats")
    except ImportError as error:
        raise MissingExtraError("an interval over repeated runs", "report") from error
    margin = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(squared_error)
    return Interval(estimate - margin, estimate + margin)
