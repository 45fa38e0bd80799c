"""Charts of how a search went on: best so far, where time went, learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloudtune.comparing.comparison import Comparison, Curve
from cloudtune.comparing.groups import Group
from cloudtune.comparing.progress import Point
from cloudtune.reporting.page.chart import (
    Chart,
    Rows,
    Spec,
    axis,
    clipped,
    colour,
    dashed,
    marked,
    near,
    spec,
    tooltip,
)
from cloudtune.reporting.report_tables import Table, curve_rows, effort_table
from cloudtune.reporting.report_words import duration, number
from cloudtune.study import Objective

_CURVES = 60
_STEPS = 200
"""Learning curves that are drawn, and steps of each."""
_COUNTED = (
    " Steps are as each service tells them: some count the reports from 1 instead of keeping the "
    "script's numbers, so the same step need not be the same amount of training."
)
_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


def progress_charts(comparison: Comparison, labels: Sequence[str]) -> Iterator[Chart]:
    """Yield best-so-far against trials, wall-clock time and money, for each objective."""
    columns = ("on", "run", "by trial", "trials ended", "after", "cost so far", "best so far")
    table = Table("progress", "Each improvement", "", columns, tuple(curve_rows(comparison)))
    longest = max((curve.seconds or 0.0 for curve in comparison.curves), default=0.0)
    unit, word = next((unit, word) for least, unit, word in _UNITS if longest >= least)
    currency = next(
        (run.currency for group in comparison.groups for run in group.runs if run.currency), ""
    )
    for place, (metric, goal) in enumerate(comparison.objectives):
        curves = [curve for curve in comparison.curves if curve.metric == metric]
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
                "a trial was better than all before.",
                _steps(labels, rows, title, metric),
                table if not place and kind == "trials" else None,
            )


def _rows(curves: Sequence[Curve], field: str, unit: float = 1.0) -> Rows:
    rows: Rows = []
    for curve in curves:
        known: list[tuple[float, Point]] = []
        for point in curve.points:
            at: float | None = getattr(point, field)
            if at is not None:
                known.append((at / unit, point))
        for at, point in known:
            rows.append(_row(curve, at, point, "1"))
        end: float | None = getattr(curve, field)
        if known and end is not None:
            rows.append(_row(curve, max(end / unit, known[-1][0]), known[-1][1], "0"))
    return rows


def _row(curve: Curve, at: float, point: Point, improved: str) -> dict[str, object]:
    return {
        "g": curve.label,
        "r": curve.run,
        "x": at,
        "y": point.value,
        "v": number(point.value),
        "n": point.trial,
        "t": duration(point.seconds),
        "i": improved,
    }


def _steps(labels: Sequence[str], rows: Rows, across: str, metric: str) -> Spec:
    ticks = {"tickCount": 12} | ({"tickMinStep": 1} if across.startswith("trials") else {})
    x = axis("x", across, scale={"zero": True}, axis=ticks)
    place: Spec = {"x": x, "y": axis("y", metric)}
    titles = {"g": "on", "r": "run", "v": metric, "n": "trial", "t": "after"}
    line: Spec = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
        "encoding": place | {"detail": {"field": "r"}} | dashed(labels),
    }
    points: Spec = {
        "transform": [{"filter": "datum.i == '1'"}],
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
        "encoding": place | tooltip(titles) | marked(labels),
    }
    return spec(labels, rows, 260, f"Best {metric} so far", titles=titles, layer=[line, points])


def effort_chart(comparison: Comparison, labels: Sequence[str]) -> Chart | None:
    """Return where the time of trials went, by provider."""
    rows: Rows = [
        {
            "g": each.label,
            "p": phase,
            "s": 100 * seconds / each.trials,
            "t": f"{clipped(each.label, 30)}: {duration(seconds)}",
        }
        for each in comparison.efforts
        for phase, seconds in each.phases.items()
        if each.trials
    ]
    if not rows:
        return None
    phases = list(comparison.efforts[0].phases)
    place: Spec = {
        "y": {"field": "p", "type": "nominal", "sort": phases, "title": None},
        "yOffset": {"field": "g", "sort": list(labels), "scale": {"paddingInner": 0.15}},
        "x": axis("s", "share of the time in trials, %", scale={"domain": [0, 130]}),
    }
    place["x"]["axis"] = {"values": [0, 25, 50, 75, 100]}
    bars: Spec = {"mark": {"type": "bar"}, "encoding": place | colour(labels)}
    words: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 5},
        "encoding": place | {"text": {"field": "t"}},
    }
    table = effort_table(comparison)
    height = max(160, 20 * len(labels) * len(phases))
    made = spec(labels, rows, height, "Where the time of trials went", layer=[bars, words])
    return Chart("effort-chart", table.title, table.note, made, table)


def learning_chart(
    groups: Sequence[Group], objective: Objective, labels: Sequence[str]
) -> Chart | None:
    """Return how an objective went within trials: the best ones and some of the others."""
    part = max(1, _CURVES // len(groups))
    told = [each for group in groups for each in _some(_curves(group, objective), part)]
    rows: Rows = [
        {"g": each.label, "k": each.trial, "s": each.state, "x": step, "y": near(value)}
        for each in told
        for step, value in _few(each.measured)
    ]
    if not rows:
        return None
    metric = objective.metric
    several = len({(group.provider, group.mode) for group in groups}) > 1
    titles = {"g": "on", "k": "run and trial", "s": "state", "x": "step", "y": metric}
    encoding: Spec = {
        "x": axis("x", "step", axis={"tickMinStep": 1}),
        "y": axis("y", metric),
        "detail": {"field": "k"},
        **dashed(labels),
        **tooltip(titles),
    }
    mark = {"type": "line", "strokeWidth": 1.5, "opacity": 0.7}
    cells = tuple(
        (
            *(each.label, each.trial, each.state, number(each.measured[0][1])),
            *(number(each.measured[-1][1]), f"{each.measured[-1][0]}"),
        )
        for each in told
    )
    columns = ("on", "run and trial", "state", "first", "last", "at step")
    return Chart(
        "learning-chart",
        "Learning curves",
        f"{metric} by step, of {len(told)} trials: from each group the best, and some over the "
        f"whole range; also those that were stopped.{_COUNTED if several else ''}",
        spec(labels, rows, 280, f"{metric} by step", titles=titles, mark=mark, encoding=encoding),
        Table("learning", "Learning curves", "", columns, cells),
    )


@dataclass(frozen=True)
class _Measured:
    label: str
    trial: str
    state: str
    measured: list[tuple[int, float]]


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
