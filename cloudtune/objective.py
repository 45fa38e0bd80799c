"""The objective of a trial: which of its measurements counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudtune.study import Objective, Study


def objective_values(
    study: Study, measurements: Sequence[Mapping[str, float]]
) -> tuple[float, ...] | None:
    """Return one value an objective from a trial's measurements in their order.

    Returns:
        None if any objective was not measured, or if its last value is not a finite number where
        the study selects the last. Where it selects the best, other values do not count.
    """
    chosen: list[float | None] = []
    for objective in study.objectives:
        value: float | None = None
        for metrics in measurements:
            if objective.metric in metrics:
                value = selected(objective, value, metrics[objective.metric])
        chosen.append(value)
    return complete(chosen)


def selected(objective: Objective, before: float | None, measured: float) -> float | None:
    """Return the value of an objective that counts, once it was measured again."""
    finite = math.isfinite(measured)
    if objective.select == "last":
        return measured if finite else None
    if before is None or not finite:
        return measured if finite else before
    return max(before, measured) if objective.goal == "maximize" else min(before, measured)


def complete(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return the values of all objectives, or None if one has none or there are no objectives."""
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None
