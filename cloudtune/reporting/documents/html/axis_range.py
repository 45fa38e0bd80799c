"""The visible part of an axis if a few bad values would take most of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.reporting.documents.wording import format_number

_CUTS = ((0.5, 3.0, 0.1), (0.9, 1.25, 0.5))
"""When an axis is cut: the minimum share of the values that is visible, the multiple of the range
of these up to which others are visible, too, and the largest share of the full range that may
remain. The first that applies is used: half of the values only if outliers squash them."""
_PADDING = 0.05
"""The padding at both ends, as a share of the visible range."""


@dataclass(frozen=True)
class AxisRange:
    """The visible part of an axis."""

    low: float
    high: float
    note: str
    """How many values are not visible, for the reader."""

    @property
    def scale(self) -> dict[str, object]:
        """The scale of the axis in Vega-Lite."""
        return {"domain": [self.low, self.high], "nice": False, "zero": False}

    def clip(self, value: float) -> float:
        """Return a value, or the end of the axis beyond which it is."""
        return min(max(value, self.low), self.high)

    @property
    def inside(self) -> dict[str, object]:
        """The transform in Vega-Lite that keeps the visible values."""
        return {"filter": {"field": "y", "range": [self.low, self.high]}}


def fit_axis_range(
    values: Sequence[float], goal: str, noun: str, keep: Sequence[float] = ()
) -> AxisRange | None:
    """Return a range without the worst values; None if they do not take much of the axis.

    Args:
        values: The values on the axis.
        goal: The goal of the objective. Only the worst values may be outside the range.
        noun: A word for the values, such as ``trials``.
        keep: Values that are always visible.
    """
    maximize = goal == "maximize"
    ranked = sorted(values, reverse=maximize)
    if not ranked:
        return None
    best, worst = ranked[0], ranked[-1]
    if not math.isfinite(worst - best):
        return None
    for share, tolerance, coverage in _CUTS:
        limit = ranked[math.ceil(share * len(ranked)) - 1]
        visible = [v for v in ranked if abs(best - v) <= tolerance * abs(best - limit)]
        limit = min([*visible, *keep]) if maximize else max([*visible, *keep])
        span = abs(best - limit)
        if span and span <= coverage * abs(worst - best):
            break
    else:
        return None
    low, high = min(limit, best) - _PADDING * span, max(limit, best) + _PADDING * span
    count = sum(not low <= value <= high for value in ranked)
    verb = "is" if count == 1 else "are"
    side, direction = ("below", "down") if maximize else ("above", "up")
    note = (
        f"{count:,} of {len(ranked):,} {noun} {verb} {side} the axis, {direction} to "
        f"{format_number(worst)}, so that the others can be told apart"
    )
    return AxisRange(low, high, note)
