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
    values = tuple(_value(objective, measurements) for objective in study.objectives)
    measured = tuple(value for value in values if value is not None)
    return measured if measured and len(measured) == len(values) else None


def _value(objective: Objective, measurements: Sequence[Mapping[str, float]]) -> float | None:
    reported = [m[objective.metric] for m in measurements if objective.metric in m]
    if objective.select == "last":
        return reported[-1] if reported and math.isfinite(reported[-1]) else None
    finite = [value for value in reported if math.isfinite(value)]
    if not finite:
        return None
    return max(finite) if objective.goal == "maximize" else min(finite)
