"""Charts of the course of a search: best so far, time, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloudtune.comparison.comparison import Comparison
from cloudtune.comparison.curves import Curve, Improvement
from cloudtune.comparison.groups import Group
from cloudtune.reporting.documents.html.axis_range import AxisRange, fit_axis_range
from cloudtune.reporting.documents.html.chart import (
    Chart,
    Rows,
    Spec,
    chart_spec,
    color_and_dash,
    color_and_shape,
    number_axis,
    round_for_chart,
    tooltip_encoding,
    value_axis,
)
from cloudtune.reporting.documents.html.downsample import select_evenly
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.documents.tables import improvements_table
from cloudtune.reporting.documents.wording import format_number, format_time
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Objective

_MAX_CURVES = 60
"""Learning curves that are drawn, over all groups."""
_MAX_STEPS = 200
"""Points of one learning curve."""
_TIME_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


def progress_charts(comparison: Comparison, labels: Sequence[str]) -> Iterator[Chart]:
    """Yield the best so far by trials, time, and cost, for each objective."""
    longest = max((curve.seconds or 0.0 for curve in comparison.curves), default=0.0)
    unit, word = next((unit, word) for least, unit, word in _TIME_UNITS if longest >= least)
    currency = next(
        (run.currency for group in comparison.groups for run in group.runs if run.currency), ""
    )
    for index, (metric, goal) in enumerate(comparison.objectives):
        curves = [curve for curve in comparison.curves if curve.metric == metric]
        finals = [curve.points[-1].value for curve in curves if curve.points]
        visible = fit_axis_range(_best_after_each_trial(curves), goal, "values", finals)
        note = f" {visible.note}." if visible else ""
        for kind, title, rows in (
            ("trials", "trials ended", _rows(curves, "trials")),
            ("time", f"{word} since the start of the job", _rows(curves, "seconds", unit)),
            ("cost", f"cost so far, {currency}", _rows(curves, "cost")),
        ):
            if not rows:
                continue
            yield Chart(
                f"progress-{kind}-{index}",
                f"Best {metric} so far, by {kind}",
                f"The best {metric} ({goal}) of each run so far. Each line is a run; each step is "
                f"a trial that was better than all before it.{note}",
                _step_chart(labels, rows, title, metric, visible),
                improvements_table(comparison) if not index and kind == "trials" else None,
            )


def _best_after_each_trial(curves: Sequence[Curve]) -> list[float]:
    bests: list[float] = []
    for curve in curves:
        ends = [*(point.trials for point in curve.points[1:]), curve.trials + 1]
        for point, end in zip(curve.points, ends, strict=False):
            bests += [point.value] * max(1, end - point.trials)
    return bests


def _rows(curves: Sequence[Curve], field: str, unit: float = 1.0) -> Rows:
    rows: Rows = []
    for curve in curves:
        positions = [(getattr(point, field), point) for point in curve.points]
        known = [(at / unit, point) for at, point in positions if at is not None]
        rows += [_row(curve, at, point, "1") for at, point in known]
        end: float | None = getattr(curve, field)
        if known and end is not None:
            rows.append(_row(curve, max(end / unit, known[-1][0]), known[-1][1], "0"))
    return rows


def _row(curve: Curve, at: float, point: Improvement, improved: str) -> dict[str, object]:
    return {
        "g": curve.label,
        "r": curve.run,
        "x": at,
        "y": point.value,
        "v": format_number(point.value),
        "n": point.trial,
        "t": format_time(point.seconds),
        "i": improved,
    }


def _step_chart(
    labels: Sequence[str], rows: Rows, x_title: str, metric: str, visible: AxisRange | None
) -> Spec:
    ticks = {"tickCount": 12} | ({"tickMinStep": 1} if x_title.startswith("trials") else {})
    x = number_axis("x", x_title, scale={"zero": True}, axis=ticks)
    position: Spec = {"x": x, "y": value_axis(metric, visible)}
    titles = {"g": "group", "r": "run", "v": metric, "n": "trial", "t": "time"}
    clip = visible is not None
    line: Spec = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "clip": clip},
        "encoding": position | {"detail": {"field": "r"}} | color_and_dash(labels),
    }
    points: Spec = {
        "transform": [{"filter": "datum.i == '1'"}, *([visible.inside] if visible else [])],
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
        "encoding": position | tooltip_encoding(titles) | color_and_shape(labels),
    }
    return chart_spec(
        labels,
        rows,
        260,
        f"Best {metric} so far",
        titles=titles,
        layer=[line, points],
    )


def learning_chart(
    groups: Sequence[Group], objective: Objective, labels: Sequence[str]
) -> Chart | None:
    """Return an objective by step in the best trials and in some of the others."""
    limit = max(1, _MAX_CURVES // len(groups))
    curves = [each for group in groups for each in select_evenly(_curves(group, objective), limit)]
    rows: Rows = [
        {"g": each.label, "k": each.trial, "s": each.state, "x": step, "y": round_for_chart(value)}
        for each in curves
        for step, value in [*select_evenly(each.values[:-1], _MAX_STEPS), each.values[-1]]
    ]
    if not rows:
        return None
    metric = objective.metric
    visible = fit_axis_range([row["y"] for row in rows], objective.goal, "measurements")
    note = f" {visible.note}." if visible else ""
    titles = {"g": "group", "k": "run and trial", "s": "state", "x": "step", "y": metric}
    encoding: Spec = {
        "x": number_axis("x", "step", axis={"tickMinStep": 1}),
        "y": value_axis(metric, visible),
        "detail": {"field": "k"},
        **color_and_dash(labels),
        **tooltip_encoding(titles),
    }
    mark = {"type": "line", "strokeWidth": 1.5, "opacity": 0.7, "clip": visible is not None}
    cells = tuple(
        (
            *(each.label, each.trial, each.state, format_number(each.values[0][1])),
            *(format_number(each.values[-1][1]), f"{each.values[-1][0]}"),
        )
        for each in curves
    )
    columns = ("group", "run and trial", "state", "first", "last", "at step")
    return Chart(
        "learning-chart",
        "Learning curves",
        f"{metric} by step in {format_count(len(curves), 'trial')}: the best of each group and "
        f"some of the others, stopped ones included.{note}",
        chart_spec(
            labels, rows, 280, f"{metric} by step", titles=titles, mark=mark, encoding=encoding
        ),
        Table("learning", "Learning curves", "", columns, cells),
    )


@dataclass(frozen=True)
class _LearningCurve:
    label: str
    trial: str
    state: str
    values: list[tuple[int, float]]


def _curves(group: Group, objective: Objective) -> list[_LearningCurve]:
    """Return the curves with at least two steps, ordered by their last value, the best first."""
    curves: list[_LearningCurve] = []
    for job in group.jobs:
        for trial in job.trials:
            by_step: dict[int, float] = {}
            for m in trial.measurements:
                if math.isfinite(m.metrics.get(objective.metric, math.nan)):
                    by_step.pop(m.step, None)  # of an earlier start, which the trial repeats
                    by_step[m.step] = m.metrics[objective.metric]
            if len(by_step) > 1:
                name, state = f"{job.run} {trial.number}", trial.state.replace("_", " ")
                values = list(by_step.items())
                curves.append(_LearningCurve(group.label, name, state, values))
    sign = -1 if objective.goal == "maximize" else 1
    return sorted(curves, key=lambda each: sign * each.values[-1][1])
