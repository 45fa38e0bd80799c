"""Charts of the searched space: slices, parallel coordinates, importance, the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cloudtune.comparison.comparison import Comparison
from cloudtune.comparison.distance import UnitScaler
from cloudtune.reporting.documents.html.axis_range import AxisRange, fit_axis_range
from cloudtune.reporting.documents.html.chart import (
    Chart,
    Rows,
    Spec,
    chart_spec,
    clip_text,
    color_and_dash,
    color_and_shape,
    number_axis,
    point_layers,
    round_for_chart,
    tooltip_encoding,
)
from cloudtune.reporting.documents.html.downsample import PlottedTrial
from cloudtune.reporting.documents.tables import Table, front_table, importance_table
from cloudtune.reporting.documents.wording import format_number
from cloudtune.reporting.phrases import format_short
from cloudtune.study.schema import FloatParameter, IntParameter
from cloudtune.study.search_space import Node, Value, count_values, resolve_scale
from cloudtune.study.study import Study

_SLICES = 12
_LINES = 400
_CATEGORIES = 30
_ROWS = 50
_INACTIVE = -0.18
"""Where a line passes the axis of a parameter that was not active."""


def slice_charts(
    study: Study, some: Sequence[PlottedTrial], labels: Sequence[str], keys: Sequence[str]
) -> Iterator[Chart]:
    """Yield the first objective against each parameter.

    Args:
        study: The study.
        some: The trials that are drawn.
        labels: The groups.
        keys: The parameters, the most important ones first.
    """
    metric = study.objectives[0].metric
    shown = slice_range(study, some)
    nodes = {
        node.key: node for node in UnitScaler(study).nodes if count_values(node.parameter) != 1
    }
    order = [*(key for key in keys if key in nodes), *(key for key in nodes if key not in keys)]
    for place, key in enumerate(order[:_SLICES]):
        node = nodes[key]
        rows: Rows = [
            {"g": each.label, "r": each.run, "n": each.trial.number}
            | {"x": value, "y": round_for_chart(each.values[0])}
            for each in some
            if (value := _value(each, node)) is not None
        ]
        if rows:
            yield Chart(
                f"slice-{place}",
                key,
                f"{metric} by {key}.",
                _slice(labels, rows, node, metric, shown),
                small=True,
            )


def slice_range(study: Study, some: Sequence[PlottedTrial]) -> AxisRange | None:
    """Return which part of the axis of the first objective the slices show."""
    return fit_axis_range([each.values[0] for each in some], study.objectives[0].goal, "trials")


def _value(each: PlottedTrial, node: Node) -> Value | None:
    value = each.trial.parameters.get(node.name)
    numeric = isinstance(node.parameter, IntParameter | FloatParameter)
    if value is None or (numeric and isinstance(value, str | bool)):
        return None
    if isinstance(value, float):
        return round_for_chart(value)
    return value if numeric else clip_text(format_short(value))


def _slice(
    labels: Sequence[str], rows: Rows, node: Node, metric: str, shown: AxisRange | None
) -> Spec:
    parameter = node.parameter
    across: Spec
    if isinstance(parameter, IntParameter | FloatParameter):
        log = resolve_scale(parameter) == "log" and all(row["x"] > 0 for row in rows)
        values = [row["x"] for row in rows]
        ends = [min(parameter.min, *values), max(parameter.max, *values)]
        scale: Spec = {"domain": ends, "nice": False}
        scale |= {"type": "log"} if log else {"zero": False}
        across = number_axis("x", node.name, scale=scale)
        across["axis"] = {"tickCount": 4, "labelOverlap": True}
        if isinstance(parameter, IntParameter):
            across["axis"] |= {"tickMinStep": 1}
    else:
        across = {"field": "x", "type": "nominal", "title": clip_text(node.name)}
    titles = {"g": "on", "r": "run", "n": "trial", "x": node.name, "y": metric}
    encoding: Spec = {
        "x": across,
        "y": number_axis("y", metric) | ({"scale": shown.scale} if shown else {}),
        **color_and_shape(labels),
        **tooltip_encoding(titles),
    }
    for channel in ("color", "shape"):
        encoding[channel]["legend"] = None
    if "scale" not in across:
        few = count_values(parameter) or 0
        across["axis"] = {"labelAngle": 0 if few <= 4 else -40, "labelLimit": 70}
        encoding["xOffset"] = {"field": "g", "sort": list(labels)}
    mark = {"type": "point", "filled": True, "size": 28, "opacity": 0.65}
    points: Spec = {"mark": mark, "encoding": encoding}
    said = f"{metric} by {node.name}"
    return chart_spec(labels, rows, 190, said, titles=titles, layer=point_layers(points, shown))


def trials_table(study: Study, some: Sequence[PlottedTrial]) -> Table:
    """Return the best trials, in place of the charts that show many."""
    names = list(study.parameters)
    best = sorted(some, key=lambda each: each.rank)[:_ROWS]
    rows = tuple(
        (
            each.label,
            f"{each.run} {each.trial.number}",
            *map(format_number, each.values),
            *(format_short(each.trial.parameters.get(name, "")) for name in names),
        )
        for each in best
    )
    metrics = [objective.metric for objective in study.objectives]
    note = "`cloudtune results --format csv` prints all trials."
    columns = ("on", "run and trial", *metrics, *names)
    said = "The best trial" if len(rows) == 1 else f"The {len(rows)} best trials"
    return Table("trials", f"{said} of those drawn", note, columns, rows)


def parallel_chart(
    study: Study, some: Sequence[PlottedTrial], labels: Sequence[str]
) -> Chart | None:
    """Return the trials as lines over the parameters' axes."""
    positions = UnitScaler(study)
    nodes = [node for node in positions.nodes if count_values(node.parameter) != 1]
    step = max(1, math.ceil(len(some) / _LINES))
    lines = sorted(some, key=lambda each: each.rank)[::step]
    if not lines or not nodes:
        return None
    metric = study.objectives[0].metric
    values = [each.values[0] for each in lines]
    low, high = min(values), max(values)
    shown = fit_axis_range(values, study.objectives[0].goal, "trials")
    if shown and study.objectives[0].goal == "maximize":
        low = shown.low
    elif shown:
        high = shown.high
    rows: Rows = []
    for each in lines:
        head = {
            "g": each.label,
            "t": f"{each.run} {each.trial.number}",
            "q": round_for_chart(each.rank),
        }
        at = positions.of(each.trial.parameters)
        for place, node in enumerate(nodes):
            rows.append(head | {"k": place, "u": round_for_chart(at.get(node.key, _INACTIVE))})
        value = min(max(each.values[0], low), high)
        share = (value - low) / (high - low) if high > low else 0.5
        rows.append(head | {"k": len(nodes), "u": round_for_chart(share)})
    note = f" {shown.note}; their lines end at its end." if shown else ""
    names = [clip_text(node.key, 24) for node in nodes] + [clip_text(metric, 24)]
    ends = [_ends(node) for node in nodes] + [(format_number(low), format_number(high))]
    return Chart(
        "parallel-chart",
        "Parallel coordinates",
        "A line a trial, over the parameters on their own scales, to the objective at the right. "
        f"Below the axes: the parameter was not active.{note}",
        _parallel(labels, rows, names, ends, metric),
        trials_table(study, some),
    )


def _ends(node: Node) -> tuple[str, str]:
    parameter = node.parameter
    if isinstance(parameter, IntParameter | FloatParameter):
        return format_short(parameter.min), format_short(parameter.max)
    count = count_values(parameter) or 0
    values = node.values or () if count <= _CATEGORIES * 100 else ()
    return (
        (clip_text(format_short(values[0]), 16), clip_text(format_short(values[-1]), 16))
        if values
        else ("", "")
    )


def _parallel(
    labels: Sequence[str], rows: Rows, names: list[str], ends: list[tuple[str, str]], metric: str
) -> Spec:
    last = len(names) - 1
    across: Spec = {
        "field": "k",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [-0.5, last + 0.3], "nice": False},
        "axis": {
            "values": list(range(len(names))),
            "labelExpr": "names[datum.value]",
            "labelAngle": -25 if len(names) > 6 else 0,
            "grid": True,
        },
    }
    up: Spec = {
        "field": "u",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [_INACTIVE - 0.08, 1.1], "nice": False},
    }
    titles = {"g": "on", "t": "run and trial"}
    lines: Spec = {
        "transform": [{"filter": "datum.q <= share / 100"}],
        "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.6},
        "encoding": {"x": across, "y": up, "detail": {"field": "t"}}
        | color_and_dash(labels)
        | tooltip_encoding(titles),
    }
    words: Rows = [
        {"k": place, "u": at, "w": said}
        for place, pair in enumerate(ends)
        for at, said in zip((-0.05, 1.05), pair, strict=True)
    ]
    if any(row["u"] == _INACTIVE for row in rows):
        words.append({"k": -0.3, "u": _INACTIVE, "w": "not active"})
    said: Spec = {
        "data": {"values": words},
        "mark": {"type": "text", "fontSize": 10},
        "encoding": {"x": across, "y": up, "text": {"field": "w"}},
    }
    of = f"Parameters of the best trials by {metric}"
    made = chart_spec(labels, rows, 320, of, titles=titles, layer=[lines, said])
    made["params"] += [{"name": "share", "value": 25}, {"name": "names", "value": names}]
    made["layer"][0]["transform"] = [*made.pop("transform"), *lines["transform"]]
    return made


def importance_chart(comparison: Comparison, labels: Sequence[str]) -> Chart | None:
    """Return how much the parameters matter, by provider."""
    table = importance_table(comparison)
    metric = comparison.objectives[0][0]
    rows: Rows = [
        {"g": each.label, "p": clip_text(key, 40), "s": 100 * share, "v": f"{100 * share:.0f} %"}
        for each in comparison.importances
        if each.shares and each.metric == metric
        for key, share in each.shares.items()
    ]
    if not rows:
        return None
    order = list(dict.fromkeys(clip_text(row[0], 40) for row in table.rows))[:_CATEGORIES]
    titles = {"g": "on", "p": "parameter", "v": "share"}
    encoding: Spec = {
        "y": {"field": "p", "type": "nominal", "sort": order, "title": None},
        "x": number_axis("s", "share of the importance, %", scale={"zero": True}),
        **color_and_shape(labels),
        **tooltip_encoding(titles),
    }
    encoding["y"]["axis"] = {"grid": True, "labelLimit": 200}
    mark = {"type": "point", "filled": True, "size": 90, "opacity": 0.85}
    rows = [row for row in rows if row["p"] in order]
    height = max(120, 28 * len(order))
    said = "How much parameters matter"
    made = chart_spec(labels, rows, height, said, titles=titles, mark=mark, encoding=encoding)
    return Chart("importance-chart", table.title, table.note, made, table)


def front_chart(
    comparison: Comparison, some: Sequence[PlottedTrial], labels: Sequence[str]
) -> Chart | None:
    """Return the first two objectives of the trials, with the common Pareto front."""
    if len(comparison.objectives) < 2:
        return None
    (left, _), (right, _) = comparison.objectives[:2]
    front = [trial for verdict in comparison.verdicts for trial in verdict.front]
    emulated = {group.label for group in comparison.groups if group.emulated}
    on_it = {(trial.label, trial.run, trial.number) for trial in front}
    rows: Rows = [
        {"g": label, "t": f"{run} {number_}", "x": values[0], "y": values[1], "f": f}
        | {"l": "emulated" if label in emulated else "real"}
        | {"v": format_number(values[0]), "w": format_number(values[1])}
        for label, run, number_, values, f in [
            *(
                (each.label, each.run, each.trial.number, each.values, "0")
                for each in some
                if (each.label, each.run, each.trial.number) not in on_it
            ),
            *((each.label, each.run, each.number, each.objective, "1") for each in front),
        ]
    ]
    if not rows:
        return None
    place: Spec = {"x": number_axis("x", left), "y": number_axis("y", right)}
    titles = {"g": "on", "t": "run and trial", "v": left, "w": right}
    told = tooltip_encoding(titles)
    others: Spec = {
        "transform": [{"filter": "datum.f == '0'"}],
        "mark": {"type": "point", "size": 30, "opacity": 0.45},
        "encoding": place | color_and_shape(labels) | told,
    }
    best: Spec = {
        "transform": [{"filter": "datum.f == '1'"}],
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
        "encoding": place | color_and_shape(labels) | told,
    }
    edge: Spec = {
        "transform": [{"filter": "datum.f == '1'"}],
        "mark": {"type": "line", "strokeWidth": 1.5, "strokeDash": [3, 3], "color": "#888"},
        "encoding": place
        | {"detail": {"field": "l"}, "order": {"field": "x", "type": "quantitative"}},
    }
    metrics = [metric for metric, _ in comparison.objectives]
    caption = "Filled and joined: the trials that no other is better than in every objective."
    if len(metrics) > 2:
        caption += f" Drawn for the first two of {len(metrics)} objectives, so it may look odd."
    made = chart_spec(
        labels, rows, 340, f"{right} by {left}", titles=titles, layer=[edge, others, best]
    )
    return Chart("front-chart", "Pareto front", caption, made, front_table(comparison))
