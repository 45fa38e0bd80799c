"""Charts of how a search went on: best so far, where time went, learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloudtune.comparison.best_so_far import MIN_IDLE_SECONDS, Improvement
from cloudtune.comparison.comparison import Comparison, Curve
from cloudtune.comparison.groups import Group
from cloudtune.reporting.documents.html.axis_range import AxisRange, fit_axis_range
from cloudtune.reporting.documents.html.chart import (
    Chart,
    Rows,
    Spec,
    chart_spec,
    clip_text,
    color_and_dash,
    color_and_shape,
    color_by_group,
    number_axis,
    point_layers,
    round_for_chart,
    tooltip_encoding,
)
from cloudtune.reporting.documents.tables import Table, improvement_rows, time_table
from cloudtune.reporting.documents.wording import format_number, format_time, many
from cloudtune.study.schema import Objective

_CURVES = 60
_STEPS = 200
"""Learning curves that are drawn, and steps of each."""
_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


def progress_charts(comparison: Comparison, labels: Sequence[str]) -> Iterator[Chart]:
    """Yield best-so-far against trials, wall-clock time and money, for each objective."""
    columns = ("on", "run", "by trial", "trials ended", "after", "cost so far", "best so far")
    table = Table("progress", "Each improvement", "", columns, tuple(improvement_rows(comparison)))
    longest = max((curve.seconds or 0.0 for curve in comparison.curves), default=0.0)
    unit, word = next((unit, word) for least, unit, word in _UNITS if longest >= least)
    currency = next(
        (run.currency for group in comparison.groups for run in group.runs if run.currency), ""
    )
    for place, (metric, goal) in enumerate(comparison.objectives):
        curves = [curve for curve in comparison.curves if curve.metric == metric]
        shown = fit_axis_range(
            _bests(curves), goal, "bests so far", [c.points[-1].value for c in curves if c.points]
        )
        note = f" {shown.note}; hollow marks at its edge stand for them." if shown else ""
        for kind, title, rows in (
            ("trials", "trials that ended", _rows(curves, "trials")),
            ("time", f"{word} since the start", _rows(curves, "seconds", unit)),
            ("cost", f"cost so far, {currency}", _rows(curves, "cost")),
        ):
            if not rows:
                continue
            yield Chart(
                f"progress-{kind}-{place}",
                f"Best {metric} so far, by {kind}",
                f"The best {metric} ({goal}) that each run had found. A line a run; it steps where "
                f"a trial was better than all before.{_idle(comparison, curves, kind)}{note}",
                _steps(labels, rows, title, metric, shown),
                table if not place and kind == "trials" else None,
            )


def _bests(curves: Sequence[Curve]) -> list[float]:
    """Return the best so far after each trial of each run."""
    bests: list[float] = []
    for curve in curves:
        ends = [*(point.trials for point in curve.points[1:]), curve.trials + 1]
        for point, end in zip(curve.points, ends, strict=False):
            bests += [point.value] * max(1, end - point.trials)
    return bests


def _idle(comparison: Comparison, curves: Sequence[Curve], kind: str) -> str:
    """Return what must be known of the time in which nobody ran a job."""
    if kind != "time":
        return ""
    seen = {(curve.label, curve.run) for curve in curves if curve.idle_periods}
    words = " Where a line is broken, nobody ran the job." if seen else ""
    for group in comparison.groups:
        for run in group.runs:
            if run.idle and run.idle >= MIN_IDLE_SECONDS and (group.label, run.run) not in seen:
                words += (
                    f" {group.label}, run {run.run}, was idle for {format_time(run.idle)}; when is "
                    "not known."
                )
    return words


def _rows(curves: Sequence[Curve], field: str, unit: float = 1.0) -> Rows:
    rows: Rows = []
    for curve in curves:
        known: list[tuple[float, Improvement]] = []
        for point in curve.points:
            at: float | None = getattr(point, field)
            if at is not None:
                known.append((at / unit, point))
        for at, point in known:
            rows.append(_row(curve, at, point, "1"))
        end: float | None = getattr(curve, field)
        if known and end is not None:
            rows.append(_row(curve, max(end / unit, known[-1][0]), known[-1][1], "0"))
        if field == "seconds":
            rows += _broken(curve, known, unit)
    return rows


def _broken(curve: Curve, known: Sequence[tuple[float, Improvement]], unit: float) -> Rows:
    """Return the ends of a line at the pauses of a job."""
    ends: Rows = []
    for pause in curve.idle_periods:
        before = [point for at, point in known if at <= pause[0] / unit]
        if before:
            ends += [_row(curve, at / unit, before[-1], "0") for at in pause]
            ends.append(_row(curve, sum(pause) / 2 / unit, before[-1], "0") | {"y": None})
    return ends


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


def _steps(
    labels: Sequence[str], rows: Rows, across: str, metric: str, shown: AxisRange | None
) -> Spec:
    ticks = {"tickCount": 12} | ({"tickMinStep": 1} if across.startswith("trials") else {})
    x = number_axis("x", across, scale={"zero": True}, axis=ticks)
    up: Spec = number_axis("y", metric) | ({"scale": shown.scale} if shown else {})
    place: Spec = {"x": x, "y": up}
    titles = {"g": "on", "r": "run", "v": metric, "n": "trial", "t": "after"}
    line: Spec = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
        "encoding": place | {"detail": {"field": "r"}} | color_and_dash(labels),
    }
    line["mark"]["clip"] = shown is not None
    points: Spec = {
        "transform": [{"filter": "datum.i == '1'"}],
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
        "encoding": place | tooltip_encoding(titles) | color_and_shape(labels),
    }
    return chart_spec(
        labels,
        rows,
        260,
        f"Best {metric} so far",
        titles=titles,
        layer=[line, *point_layers(points, shown)],
    )


def time_chart(comparison: Comparison, labels: Sequence[str]) -> Chart | None:
    """Return where the time of trials went, by provider."""
    rows: Rows = [
        {
            "g": each.label,
            "p": phase,
            "s": 100 * seconds / each.trials,
            "t": f"{clip_text(each.label, 30)}: {format_time(seconds)}",
        }
        for each in comparison.time_breakdowns
        for phase, seconds in each.phases.items()
        if each.trials
    ]
    if not rows:
        return None
    phases = list(comparison.time_breakdowns[0].phases)
    place: Spec = {
        "y": {"field": "p", "type": "nominal", "sort": phases, "title": None},
        "yOffset": {"field": "g", "sort": list(labels), "scale": {"paddingInner": 0.15}},
        "x": number_axis("s", "share of the time in trials, %", scale={"domain": [0, 130]}),
    }
    place["x"]["axis"] = {"values": [0, 25, 50, 75, 100]}
    bars: Spec = {"mark": {"type": "bar"}, "encoding": place | color_by_group(labels)}
    words: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 5},
        "encoding": place | {"text": {"field": "t"}},
    }
    table = time_table(comparison)
    height = max(160, 20 * len(labels) * len(phases))
    made = chart_spec(labels, rows, height, "Where the time of trials went", layer=[bars, words])
    return Chart("effort-chart", table.title, table.note, made, table)


def learning_chart(
    groups: Sequence[Group], objective: Objective, labels: Sequence[str]
) -> Chart | None:
    """Return how an objective went within trials: the best ones and some of the others."""
    part = max(1, _CURVES // len(groups))
    told = [each for group in groups for each in _some(_curves(group, objective), part)]
    rows: Rows = [
        {"g": each.label, "k": each.trial, "s": each.state, "x": step, "y": round_for_chart(value)}
        for each in told
        for step, value in _few(each.measured)
    ]
    if not rows:
        return None
    metric = objective.metric
    shown = fit_axis_range([row["y"] for row in rows], objective.goal, "measurements")
    note = f" {shown.note}." if shown else ""
    titles = {"g": "on", "k": "run and trial", "s": "state", "x": "step", "y": metric}
    encoding: Spec = {
        "x": number_axis("x", "step", axis={"tickMinStep": 1}),
        "y": number_axis("y", metric) | ({"scale": shown.scale} if shown else {}),
        "detail": {"field": "k"},
        **color_and_dash(labels),
        **tooltip_encoding(titles),
    }
    mark = {"type": "line", "strokeWidth": 1.5, "opacity": 0.7, "clip": shown is not None}
    cells = tuple(
        (
            *(each.label, each.trial, each.state, format_number(each.measured[0][1])),
            *(format_number(each.measured[-1][1]), f"{each.measured[-1][0]}"),
        )
        for each in told
    )
    columns = ("on", "run and trial", "state", "first", "last", "at step")
    return Chart(
        "learning-chart",
        "Learning curves",
        f"{metric} by step, of {many(len(told), 'trial')}: from each group the best, and some "
        f"over the whole range; also those that were stopped.{_counted(groups, objective)}{note}",
        chart_spec(
            labels, rows, 280, f"{metric} by step", titles=titles, mark=mark, encoding=encoding
        ),
        Table("learning", "Learning curves", "", columns, cells),
    )


@dataclass(frozen=True)
class _Measured:
    label: str
    trial: str
    state: str
    measured: list[tuple[int, float]]


def _counted(groups: Sequence[Group], objective: Objective) -> str:
    """Return that the same step is not the same everywhere, if the groups' steps differ."""
    steps: dict[str, list[int]] = {}
    for group in groups:
        seen = {step for each in _curves(group, objective) for step, _ in each.measured}
        if seen:
            steps[clip_text(group.label, 40)] = sorted(seen)
    if len({tuple(each) for each in steps.values()}) < 2:
        return ""
    spans = "; ".join(f"{label}: {e[0]} to {e[-1]}, {len(e)} in all" for label, e in steps.items())
    return (
        f" Steps are not the same everywhere ({spans}): some services count the reports from 1 "
        "instead of keeping the script's numbers. So the same step need not be the same amount of "
        "training."
    )


def _curves(group: Group, objective: Objective) -> list[_Measured]:
    """Return a group's trials with at least two steps, the one that ended best first."""
    found: list[_Measured] = []
    for job in group.jobs:
        for trial in job.trials:
            measured = [
                (m.step, m.metrics[objective.metric])
                for m in trial.measurements
                if math.isfinite(m.metrics.get(objective.metric, math.nan))
            ]
            if len(measured) > 1:
                name, state = f"{job.run} {trial.number}", trial.state.replace("_", " ")
                found.append(_Measured(group.label, name, state, measured))
    sign = -1 if objective.goal == "maximize" else 1
    return sorted(found, key=lambda each: sign * each.measured[-1][1])


def _some(found: list[_Measured], most: int) -> list[_Measured]:
    if len(found) <= most:
        return found
    return [found[k * len(found) // most] for k in range(most)]


def _few(measured: list[tuple[int, float]]) -> list[tuple[int, float]]:
    if len(measured) <= _STEPS:
        return measured
    ends = [k * len(measured) // _STEPS for k in range(_STEPS + 1)]
    return [measured[low] for low, high in pairwise(ends) if low < high] + [measured[-1]]
