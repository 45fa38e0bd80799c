"""The objective values of a trial, from its measurements."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.results.reports import is_number
from cloudtune.study.fields import StudyFields
from cloudtune.study.own_metrics import own_metrics
from cloudtune.study.schema import MetricSelect, Objective
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.results.model import Measurement

MISSING_METRIC = "the script ended without reporting"
"""How the reason of a trial starts that did not measure the objective."""


def objective_values(
    study: Study, measurements: Sequence[Mapping[str, float]]
) -> tuple[float, ...] | None:
    """Return the value of each objective, from a trial's measurements in order.

    Returns:
        None if any objective was not measured. An objective with ``select: last`` counts as not
        measured if its last value is not finite; one with ``select: best``, if no value is finite.
    """
    return complete_objective([_select(each, measurements) for each in study.objectives])


def _select(objective: Objective, measurements: Sequence[Mapping[str, float]]) -> float | None:
    value: float | None = None
    for metrics in measurements:
        if objective.metric in metrics:
            value = select_value(objective, value, metrics[objective.metric])
    return value


def select_value(objective: Objective, before: float | None, measured: float) -> float | None:
    """Return the value of an objective, the last or the best, after a new measurement."""
    finite = math.isfinite(measured)
    if objective.select == "last":
        return measured if finite else None
    if before is None or not finite:
        return measured if finite else before
    return max(before, measured) if objective.goal == "maximize" else min(before, measured)


def select_metric(select: MetricSelect | None, before: float | None, measured: float) -> float:
    """Return the value of a metric that is no objective after a new measurement.

    The smallest and the largest value count only finite ones, if there are any.
    """
    if before is None or select is None or select == "last" or not math.isfinite(before):
        return measured
    if not math.isfinite(measured):
        return before
    return min(before, measured) if select == "min" else max(before, measured)


def selected_values(
    study: Study, measurements: Sequence[Mapping[str, float]]
) -> tuple[dict[str, float], list[float | None]]:
    """Return the value of each metric, and that of each objective."""
    selected: dict[str, float] = {}
    for metrics in measurements:
        for name, value in metrics.items():
            select = study.trial.select.get(name)
            selected[name] = select_metric(select, selected.get(name), value)
    return selected, [_select(each, measurements) for each in study.objectives]


def constrained_metrics(
    study: StudyFields, metrics: Mapping[str, float], objective: Sequence[float | None]
) -> dict[str, float]:
    """Return the value of each metric for the constraints: of an objective, the one that counts."""
    selected = zip((each.metric for each in study.objectives), objective, strict=True)
    return {**metrics, **{name: value for name, value in selected if value is not None}}


def complete_objective(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return the values, or None if one is missing or there are no objectives."""
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None


def reaches_targets(study: Study, values: Sequence[float] | None) -> bool:
    """Return whether the values reach every target; False if no objective has a target."""
    targets = [
        (objective.goal, value, objective.target)
        for objective, value in zip(study.objectives, values or (), strict=False)
        if objective.target is not None
    ]
    return bool(targets) and all(
        value >= target if goal == "maximize" else value <= target
        for goal, value, target in targets
    )


def explain_divergence(study: Study, measurements: Sequence[Measurement]) -> str:
    """Return which objective ended with a value that is not finite; empty if none.

    Such a trial has failed, also where an earlier value would be its best. A service's measurements
    may be invalid, which is not for this function to say.
    """
    for objective in study.objectives:
        name = objective.metric
        last = next((each for each in reversed(measurements) if name in each.metrics), None)
        if last and is_number(last.metrics[name]) and not math.isfinite(last.metrics[name]):
            return f"{name} was {last.metrics[name]} at step {last.step}"
    return ""


def explain_missing_result(study: Study, measurements: Sequence[Measurement], remark: str) -> str:
    """Return why a trial that ended without an error has failed; empty if it has a result.

    The remark is as in `explain_missing_objective`. Cloudtune measures its own metrics itself.
    """
    own = own_metrics(study)
    reported = {name for each in measurements for name in each.metrics}
    needed = [
        each for each in study.objectives if each.metric not in own or each.metric in reported
    ]
    if len(needed) < len(study.objectives):
        study = study.model_copy(update={"objective": needed})
        if not needed:
            return ""
    if diverged := explain_divergence(study, measurements):
        return f"{diverged} ({remark})" if remark else diverged
    if objective_values(study, [each.metrics for each in measurements]) is not None:
        return ""
    return explain_missing_objective(study, measurements, remark)


def explain_missing_objective(
    study: Study, measurements: Sequence[Measurement], remark: str
) -> str:
    """Return why a trial that ended has no objective.

    The remark is what the reader of the metrics noticed; empty if nothing.
    """
    for objective in study.objectives:
        if not any(objective.metric in m.metrics for m in measurements):
            details = _describe_metrics(study, objective.metric, measurements, remark)
            return f"{MISSING_METRIC} {objective.metric} ({details})"
    return explain_divergence(study, measurements) or "the objective was not measured"


def _describe_metrics(
    study: Study, missing: str, measurements: Sequence[Measurement], remark: str
) -> str:
    """Return what a script reported instead, and the expressions that matched nothing."""
    names = ", ".join(dict.fromkeys(name for m in measurements for name in m.metrics))
    if remark:
        return f"{remark}; it reported {names}" if names else remark
    if not (expressions := study.trial.metrics.get(missing)):
        remedy = (
            "it reported no metrics: call report(), or give trial.metrics an expression that finds "
            f"{missing} in what it prints"
        )
        return f"it reported {names}" if names else remedy
    text = f"no printed line matches {' or '.join(expressions)}"
    text += f"; it reported {names}" if names else ""
    if study.file is None:
        return text
    return f"{text}; for one that does: cloudtune doctor {shlex.quote(study.file)}"
