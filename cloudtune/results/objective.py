"""The objective of a trial: which of its measurements counts, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.study.schema import Objective
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.results.model import Measurement


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
                value = select_value(objective, value, metrics[objective.metric])
        chosen.append(value)
    return complete_objective(chosen)


def select_value(objective: Objective, before: float | None, measured: float) -> float | None:
    """Return the value of an objective that counts, once it was measured again."""
    finite = math.isfinite(measured)
    if objective.select == "last":
        return measured if finite else None
    if before is None or not finite:
        return measured if finite else before
    return max(before, measured) if objective.goal == "maximize" else min(before, measured)


def complete_objective(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return the values of all objectives, or None if one has none or there are no objectives."""
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None


def reaches_targets(study: Study, values: Sequence[float] | None) -> bool:
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


def explain_missing_objective(
    study: Study, measurements: Sequence[Measurement], remark: str
) -> str:
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
