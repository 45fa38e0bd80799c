"""Which part of an axis is shown where a few bad values would take most of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudtune.reporting.documents.wording import format_number

_SHARE = 0.9
"""The share of the values that must be seen."""
_NEAR = 1.25
"""Others are seen, too, up to this much of the range of these."""
_WORTH = 0.5
"""Everything is shown unless the others would take this part of the axis."""
_EDGE = 0.05
"""The room beyond the values that are shown, as a share of their range."""


@dataclass(frozen=True)
class AxisRange:
    """The part of an axis that is shown."""

    low: float
    high: float
    note: str
    """What a reader must know of the others."""

    def clamped(self, value: float) -> float:
        """Return a value, or the edge that it lies beyond."""
        return min(max(value, self.low), self.high)

    def beyond(self, value: float) -> bool:
        """Tell whether a value is not shown as it is."""
        return not self.low <= value <= self.high

    @property
    def scale(self) -> dict[str, object]:
        """Return the scale of the axis, as in Vega-Lite."""
        return {"domain": [self.low, self.high], "nice": False, "zero": False}


def fit_axis_range(
    values: Sequence[float], goal: str, what: str, keep: Iterable[float] = ()
) -> AxisRange | None:
    """Return which part of an axis shows nine in ten values; None if that is nearly all of it.

    Args:
        values: What is drawn.
        goal: The goal of the objective; only worse values are left out.
        what: The values in a word, as ``trials``.
        keep: Values that must be seen whatever there is.
    """
    up = goal == "maximize"
    ranked = sorted(values, reverse=up)
    if not ranked:
        return None
    best, worst = ranked[0], ranked[-1]
    if not math.isfinite(worst - best):
        return None
    limit = ranked[math.ceil(_SHARE * len(ranked)) - 1]
    near = [value for value in ranked if abs(best - value) <= _NEAR * abs(best - limit)]
    limit = min([*near, *keep]) if up else max([*near, *keep])
    span = abs(best - limit)
    if not span or span > _WORTH * abs(worst - best):
        return None
    low, high = min(limit, best) - _EDGE * span, max(limit, best) + _EDGE * span
    count = sum(not low <= value <= high for value in ranked)
    side, end = ("below", "down") if up else ("above", "up")
    note = (
        f"{count:,} of {len(ranked):,} {what} {'lies' if count == 1 else 'lie'} {side} the axis, "
        f"{end} to {format_number(worst)}, so that the others can be told apart"
    )
    return AxisRange(low, high, note)
