"""The visible part of an axis if a few bad values would take most of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudtune.reporting.documents.wording import format_number

_VISIBLE_SHARE = 0.9
"""The minimum share of the values that are visible."""
_TOLERANCE = 1.25
"""Other values are visible, too, up to this multiple of the range of these."""
_MAX_COVERAGE = 0.5
"""The axis is cut only if the visible values need at most this share of the full range."""
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

    @property
    def inside(self) -> dict[str, object]:
        """The transform in Vega-Lite that keeps the visible values."""
        return {"filter": {"field": "y", "range": [self.low, self.high]}}


def fit_axis_range(
    values: Sequence[float], goal: str, noun: str, keep: Iterable[float] = ()
) -> AxisRange | None:
    """Return a range that shows at least nine in ten values; None if that is nearly all of it.

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
    limit = ranked[math.ceil(_VISIBLE_SHARE * len(ranked)) - 1]
    visible = [v for v in ranked if abs(best - v) <= _TOLERANCE * abs(best - limit)]
    limit = min([*visible, *keep]) if maximize else max([*visible, *keep])
    span = abs(best - limit)
    if not span or span > _MAX_COVERAGE * abs(worst - best):
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
