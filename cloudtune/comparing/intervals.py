"""How sure a mean of few values is, and a difference of two means.

Each value is that of one run. Trials of one run are never taken as repetitions: a search that
learns makes each of them depend on those before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import fmean
from typing import Any

from cloudtune.errors import MissingExtraError

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Where a mean, or a difference of means, may lie."""

    low: float
    high: float


def of_mean(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of a mean, 95 %; None for fewer than two or for equal values.

    Raises:
        MissingExtraError: If scipy is not installed.
    """
    if len(set(values)) < 2:
        return None
    found = _scipy().ttest_1samp(values, fmean(values)).confidence_interval(LEVEL)
    return Interval(float(found.low), float(found.high))


def of_difference(
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
    test = _scipy().ttest_ind(left, right, equal_var=False)
    found = test.confidence_interval(1 - (1 - LEVEL) / comparisons)
    return Interval(float(found.low), float(found.high))


def _scipy() -> Any:
    try:
        return import_module("scipy.stats")
    except ImportError as error:
        raise MissingExtraError("an interval over repeated runs", "report") from error
