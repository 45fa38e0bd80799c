"""Charts of the search space: slices, parallel coordinates, importance, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cloudtune.comparison.comparison import Comparison
from cloudtune.comparison.importance import valid_values
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
    round_for_chart,
    tooltip_encoding,
    value_axis,
)
from cloudtune.reporting.documents.html.downsample import PlottedTrial
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.documents.tables import front_table
from cloudtune.reporting.documents.wording import format_number
from cloudtune.reporting.phrases import format_short
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Column
from cloudtune.study.schema import FloatParameter, IntParameter
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    list_nodes,
    resolve_scale,
)
from cloudtune.study.study import Study

_MAX_SLICES = 12
_BEST_SHARE, _MIN_LINES = 0.25, 10
"""The share of the trials that are lines in the parallel coordinates, and their minimum number."""
_MAX_ROWS = 50
_INACTIVE = -0.18
"""The position on the axis of a parameter that was not active."""


def slice_charts(
    study: Study, trials: Sequence[PlottedTrial], labels: Sequence[str], keys: Sequence[str]
) -> Iterator[Chart]:
    """Yield the first objective against each parameter, first those with these keys."""
    metric = study.objectives[0].metric
    visible = fit_axis_range([t.values[0] for t in trials], study.objectives[0].goal, "trials")
    nodes = {node.key: node for node in list_nodes(study) if count_values(node.parameter) != 1}
    order = [*(key for key in keys if key in nodes), *(key for key in nodes if key not in keys)]
    for index, key in enumerate(order[:_MAX_SLICES]):
        node = nodes[key]
        rows: Rows = [
            {"g": each.label, "r": each.run, "n": each.trial.number}
            | {"x": value, "v": format_number(each.values[0])}
            | {"y": round_for_chart(visible.clip(each.values[0]) if visible else each.values[0])}
            for each in trials
            if (value := _value(each, node)) is not None
        ]
        if rows:
            yield Chart(
                f"slice-{index}",
                key,
                f"{visible.note}; they are drawn at its end." if visible else "",
                _slice(labels, rows, node, metric, visible),
            )


def _value(each: PlottedTrial, node: Node) -> Value | None:
    value = each.trial.parameters.get(node.name)
    numeric = isinstance(node.parameter, IntParameter | FloatParameter)
    if value is None or (numeric and isinstance(value, str | bool)):
        return None
    if isinstance(value, float):
        return round_for_chart(value)
    return value if numeric else clip_text(format_short(value))


def _slice(
    labels: Sequence[str], rows: Rows, node: Node, metric: str, visible: AxisRange | None
) -> Spec:
    parameter = node.parameter
    x: Spec
    if isinstance(parameter, IntParameter | FloatParameter):
        log = resolve_scale(parameter) == "log" and all(row["x"] > 0 for row in rows)
        values = [row["x"] for row in rows]
        ends = [min(parameter.min, *values), max(parameter.max, *values)]
        scale: Spec = {"domain": ends, "nice": False}
        scale |= {"type": "log"} if log else {"zero": False}
        x = number_axis("x", node.name, scale=scale)
        x["axis"] = {"tickCount": 4, "labelOverlap": True}
        if isinstance(parameter, IntParameter):
            x["axis"] |= {"tickMinStep": 1}
    else:
        angle = 0 if (count_values(parameter) or 0) <= 4 else -40
        x = {"field": "x", "type": "nominal", "title": clip_text(node.name)}
        x["sort"] = [clip_text(format_short(value)) for value in node.values or ()]
        x["axis"] = {"labelAngle": angle, "labelLimit": 70}
    titles = {"g": "group", "r": "run", "n": "trial", "x": node.name, "v": metric}
    encoding: Spec = {
        "x": x,
        "y": value_axis(metric, visible),
        **color_and_shape(labels),
        **tooltip_encoding(titles),
    }
    for channel in ("color", "shape"):
        encoding[channel]["legend"] = None
    if x["type"] == "nominal":
        encoding["xOffset"] = {"field": "g", "sort": list(labels)}
    mark = {"type": "point", "filled": True, "size": 28, "opacity": 0.65}
    more: Spec = {"mark": mark, "encoding": encoding, "titles": titles}
    return chart_spec(labels, rows, 190, f"{metric} by {node.name}", **more)


def trials_table(study: Study, trials: Sequence[PlottedTrial]) -> Table:
    """Return the best trials, as the alternative to the charts that show many trials."""
    names = list(study.parameters)
    best = sorted(trials, key=lambda each: each.rank)[:_MAX_ROWS]
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
    columns = ("group", "run and trial", *metrics, *names)
    title = "The best trial" if len(rows) == 1 else f"The {len(rows)} best trials"
    return Table("trials", f"{title} of those drawn", note, columns, rows)


def parallel_chart(
    study: Study, trials: Sequence[PlottedTrial], labels: Sequence[str]
) -> Chart | None:
    """Return the trials as lines across the axes of the parameters."""
    space = Space.from_study(study)
    columns = {axis.node.key: Column(axis) for axis in build_axes(space)}
    nodes = [node for node in space.nodes if count_values(node.parameter) != 1]
    best = sorted(trials, key=lambda each: each.rank)
    lines = best[: max(_MIN_LINES, math.ceil(_BEST_SHARE * len(best)))]
    if not lines or not nodes:
        return None
    metric = study.objectives[0].metric
    values = [each.values[0] for each in lines]
    low, high = min(values), max(values)
    rows: Rows = []
    for each in lines:
        head = {"g": each.label, "t": f"{each.run} {each.trial.number}"}
        positions = {
            node.key: columns[node.key].encode(value) / max(1, columns[node.key].categories - 1)
            for node, value in valid_values(space, each.trial.parameters)
        }
        crossings = [positions.get(node.key, _INACTIVE) for node in nodes]
        crossings.append((each.values[0] - low) / (high - low) if high > low else 0.5)
        rows += [head | {"k": k, "u": round_for_chart(u)} for k, u in enumerate(crossings)]
    names = [clip_text(node.key, 24) for node in nodes] + [clip_text(metric, 24)]
    ends = [_ends(node) for node in nodes] + [(format_number(low), format_number(high))]
    return Chart(
        "parallel-chart",
        "Parallel coordinates",
        f"Each line is a trial: the best of each group, {len(lines)} in all. It crosses the axes "
        "of the parameters and ends at the objective. A line below an axis means that the "
        "parameter was not active.",
        _parallel(labels, rows, names, ends, metric),
        trials_table(study, trials),
    )


def _ends(node: Node) -> tuple[str, str]:
    parameter = node.parameter
    if isinstance(parameter, IntParameter | FloatParameter):
        return format_short(parameter.min), format_short(parameter.max)
    values = node.values or ("",)
    return clip_text(format_short(values[0]), 16), clip_text(format_short(values[-1]), 16)


def _parallel(
    labels: Sequence[str], rows: Rows, names: list[str], ends: list[tuple[str, str]], metric: str
) -> Spec:
    last = len(names) - 1
    x: Spec = {
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
    y: Spec = {
        "field": "u",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [_INACTIVE - 0.08, 1.1], "nice": False},
    }
    titles = {"g": "group", "t": "run and trial"}
    lines: Spec = {
        "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.6},
        "encoding": {"x": x, "y": y, "detail": {"field": "t"}}
        | color_and_dash(labels)
        | tooltip_encoding(titles),
    }
    texts: Rows = [
        {"k": index, "u": position, "w": text}
        for index, pair in enumerate(ends)
        for position, text in zip((-0.05, 1.05), pair, strict=True)
    ]
    if any(row["u"] == _INACTIVE for row in rows):
        texts.append({"k": -0.3, "u": _INACTIVE, "w": "not active"})
    end_labels: Spec = {
        "data": {"values": texts},
        "mark": {"type": "text", "fontSize": 10},
        "encoding": {"x": x, "y": y, "text": {"field": "w"}},
    }
    description = f"Parameters of the best trials by {metric}"
    layers = [lines, end_labels]
    spec = chart_spec(labels, rows, 320, description, titles=titles, layer=layers)
    spec["params"].append({"name": "names", "value": names})
    lines["transform"] = spec.pop("transform")
    return spec


def front_chart(
    comparison: Comparison, trials: Sequence[PlottedTrial], labels: Sequence[str]
) -> Chart | None:
    """Return the first two objectives of the trials, with the common Pareto front marked."""
    if len(comparison.objectives) < 2:
        return None
    (left, _), (right, _) = comparison.objectives[:2]
    front = [trial for verdict in comparison.verdicts for trial in verdict.front]
    on_front = {(trial.label, trial.run, trial.number): trial.objective for trial in front}
    drawn = {(each.label, each.run, each.trial.number): each.values for each in trials} | on_front
    emulated = {group.label for group in comparison.groups if group.emulated}
    rows: Rows = [
        {"g": label, "t": f"{run} {number}", "x": x, "y": y, "f": (label, run, number) in on_front}
        | {"l": "emulated" if label in emulated else "real"}
        | {"v": format_number(x), "w": format_number(y)}
        for (label, run, number), (x, y, *_) in drawn.items()
    ]
    if not rows:
        return None
    position: Spec = {"x": number_axis("x", left), "y": number_axis("y", right)}
    titles = {"g": "group", "t": "run and trial", "v": left, "w": right}
    points: Spec = {
        "mark": {"type": "point", "filled": True},
        "encoding": position
        | {"size": {"condition": {"test": "datum.f", "value": 110}, "value": 30}}
        | {"opacity": {"condition": {"test": "datum.f", "value": 1}, "value": 0.45}}
        | color_and_shape(labels)
        | tooltip_encoding(titles),
    }
    edge: Spec = {
        "transform": [{"filter": "datum.f"}],
        "mark": {"type": "line", "strokeWidth": 1.5, "strokeDash": [3, 3], "color": "#888"},
        "encoding": position
        | {"detail": {"field": "l"}, "order": {"field": "x", "type": "quantitative"}},
    }
    caption = "Large and joined: the trials that no other trial is better than in every objective."
    if len(comparison.objectives) > 2:
        caption += f" Only the first two of {len(comparison.objectives)} objectives are drawn."
    description = f"{right} by {left}"
    spec = chart_spec(labels, rows, 340, description, titles=titles, layer=[edge, points])
    return Chart("front-chart", "Pareto front", caption, spec, front_table(comparison))
