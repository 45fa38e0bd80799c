"""What a chart is, and what all charts share: the groups' colours, shapes and dashes.

A chart is a description in Vega-Lite, as plain data. Names and values of a study stand only in its
data and titles, never in its expressions and field names, so that they are text whatever they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.reporting.documents.html.axis_range import AxisRange
from cloudtune.reporting.documents.tables import Table
from cloudtune.reporting.sanitize import sanitize_line

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

_DASHES = [[1, 0], [7, 3], [2, 2], [10, 3, 2, 3], [12, 4]]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"]
"""Five, while there are six colours: so thirty groups differ in one or the other."""
_LONGEST = 60
_PROPERTIES = {
    *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString"),
    *("toString", "valueOf", "__proto__", "__defineGetter__", "__defineSetter__"),
    *("__lookupGetter__", "__lookupSetter__"),
}
SHOWN_GROUPS = {"filter": "indexof(shown, datum.g) >= 0"}
"""Leaves out the groups that the reader has switched off."""


@dataclass(frozen=True)
class Chart:
    """A chart with what is said in its place to those who do not see it."""

    id: str
    title: str
    caption: str
    spec: Spec
    table: Table | None = None
    """The same as a table."""
    small: bool = False
    """Whether several stand side by side."""


def clip_text(text: object, most: int = _LONGEST) -> str:
    """Return a text as one harmless line that is not too long for a picture.

    Vega takes a word like ``constructor`` for what each object of the browser has, and draws
    nothing; with a mark that is not seen it is a word like any other.
    """
    line = sanitize_line(str(text))
    if line in _PROPERTIES:
        return f"{line}\N{WORD JOINER}"
    return line if len(line) <= most else line[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def round_for_chart(value: float) -> float:
    """Return a number with as many digits as a picture can show."""
    return float(f"{value:.6g}")


def chart_spec(
    labels: Sequence[str], rows: Rows, height: int, description: str, **more: Any
) -> Spec:
    """Return the frame of a chart's description around its layers.

    Args:
        labels: All groups, in their order.
        rows: The data; each has its group under ``g``.
        height: In pixels; the width is that of the page.
        description: What screen readers say.
        more: The rest of the description.
    """
    titles = more.pop("titles", {})
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": clip_text(description, 300),
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "params": [{"name": "shown", "value": list(labels)}, *more.pop("params", [])],
        "transform": [SHOWN_GROUPS, *more.pop("transform", [])],
        "usermeta": {"titles": [[field, clip_text(said)] for field, said in titles.items()]},
        **more,
    }


def color_by_group(labels: Sequence[str]) -> Spec:
    """Return the encoding of the groups by colour, with a legend."""
    return {"color": _by_group(labels, {"labelLimit": 220})}


def color_and_shape(labels: Sequence[str]) -> Spec:
    """Return the encoding of the groups by colour and by shape."""
    count = len(labels)
    return color_by_group(labels) | {"shape": _by_group(labels, {}, _repeated(_SHAPES, count))}


def color_and_dash(labels: Sequence[str]) -> Spec:
    """Return the encoding of the groups by colour and by dashes."""
    count = len(labels)
    return color_by_group(labels) | {"strokeDash": _by_group(labels, {}, _repeated(_DASHES, count))}


def _by_group(labels: Sequence[str], legend: Spec, range_: list[Any] | None = None) -> Spec:
    scale: Spec = {"domain": list(labels)} | ({"range": range_} if range_ else {})
    return {"field": "g", "type": "nominal", "title": None, "scale": scale, "legend": legend}


def _repeated(some: list[Any], count: int) -> list[Any]:
    return [some[place % len(some)] for place in range(count)]


def number_axis(field: str, title: str, **more: Any) -> Spec:
    """Return the encoding of a number along an axis that need not begin at 0."""
    scale = more.pop("scale", {"zero": False})
    return {
        "field": field,
        "type": "quantitative",
        "title": clip_text(title),
        "scale": scale,
        **more,
    }


def point_layers(points: Spec, shown: AxisRange | None) -> list[Spec]:
    """Return the layers of points; hollow ones at its edge stand for those beyond the axis."""
    if shown is None:
        return [points]
    low, high = shown.low, shown.high
    before: list[Spec] = points.get("transform", [])
    inside: Spec = {"filter": f"datum.y >= {low!r} && datum.y <= {high!r}"}
    beyond: Spec = {"filter": f"datum.y < {low!r} || datum.y > {high!r}"}
    edge: Spec = {"calculate": f"clamp(datum.y, {low!r}, {high!r})", "as": "c"}
    up: Spec = points["encoding"]["y"] | {"field": "c"}
    hollow: Spec = {
        "transform": [*before, beyond, edge],
        "mark": points["mark"] | {"filled": False, "strokeWidth": 1.5},
        "encoding": points["encoding"] | {"y": up},
    }
    return [points | {"transform": [*before, inside]}, hollow]


def tooltip_encoding(titles: Mapping[str, str]) -> Spec:
    """Return the tooltip encoding of these fields.

    The page's script takes the titles from `chart_spec`. As keys of Vega's tooltip object, two
    equal titles would become one, and some names would not work.
    """
    return {"tooltip": [{"field": field, "title": field} for field in titles]}
