"""The objective of a trial: which of its measurements counts, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.study import Objective, Study

if TYPE_CHECKING:
    from cloudtune.results import Measurement


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


def reaches_target(study: Study, values: Sequence[float] | None) -> bool:
    """Tell whether a trial reaches the target of each objective that has one; False without any."""
    targets = [
        (objective.goal, value, objective.target)
        for objective, value in zip(study.objectives, values or (), strict=False)
        if objective.target is not None
    ]
    return bool(targets) and all(
        value >= target if goal == "maximize" else value <= target
        for goal, value, target in targets
    )


def why_unmeasured(study: Study, measurements: Sequence[Measurement], remark: str) -> str:
    """Return why a trial that came to its end has no objective.

    Args:
        study: What was run.
        measurements: What it measured.
        remark: What whoever read the metrics noticed, if anything.
    """
    for objective in study.objectives:
        reported = [m for m in measurements if objective.metric in m.metrics]
        if not reported:
            given = dict.fromkeys(name for m in measurements for name in m.metrics)
            seen = remark or f"it gave {', '.join(given) or 'no metric at all'}"
            return f"the script ended without reporting {objective.metric} ({seen})"
        last = reported[-1]
        if not math.isfinite(last.metrics[objective.metric]):
            value = last.metrics[objective.metric]
            return f"{objective.metric} was {value} at step {last.step}"
    return "the objective was not measured"
