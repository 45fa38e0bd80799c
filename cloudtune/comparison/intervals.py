"""Confidence intervals of the mean of few values, and of the difference between two means.

Each value is that of one run. The trials of one run are never treated as repetitions, because in a
search that learns, each trial depends on the ones before it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from cloudtune.errors import import_extra

LEVEL = 0.95


class Interval(NamedTuple):
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
    return _interval(LEVEL, "ttest_1samp", values, 0.0)


def difference_interval(
    left: Sequence[float], right: Sequence[float], comparisons: int
) -> Interval | None:
    """Return Welch's t interval of the difference between two means.

    All comparisons together hold with 95 % (Bonferroni).

    Returns:
        None if one side has fewer than two values, and if all values of both sides are equal.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if min(len(left), len(right)) < 2 or (len(set(left)) < 2 and len(set(right)) < 2):
        return None
    level = 1 - (1 - LEVEL) / comparisons
    return _interval(level, "ttest_ind", left, right, equal_var=False)


def _interval(level: float, test: str, *samples: Any, **options: Any) -> Interval | None:
    stats = import_extra("scipy.stats", "an interval over repeated runs", "report")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns if values are nearly equal
        low, high = getattr(stats, test)(*samples, **options).confidence_interval(level)
    # The variance of tiny or huge values underflows or overflows.
    return Interval(float(low), float(high)) if math.isfinite(high - low) else None
