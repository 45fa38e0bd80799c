"""Charts in Vega-Lite, and what they share: the groups' colors, shapes, and dashes.

Names and values of a study are only in a chart's data and titles, never in its expressions and
field names, so that they are always treated as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.reporting.documents.html.axis_range import AxisRange
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.sanitize import sanitize_line

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

_DASHES = [[1, 0], [7, 3], [2, 2], [10, 3, 2, 3], [12, 4]]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"]
"""Five, with six colors: thirty groups differ in one or the other."""
_MAX_TEXT = 60
_OBJECT_PROPERTIES = {
    *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString"),
    *("toString", "valueOf", "__proto__", "__defineGetter__", "__defineSetter__"),
    *("__lookupGetter__", "__lookupSetter__"),
}
SHOWN_GROUPS = {"filter": "indexof(shown, datum.g) >= 0"}
"""Hides the groups that the reader has switched off."""


@dataclass(frozen=True)
class Chart:
    """A chart with its alternatives for readers who cannot see it."""

    id: str
    title: str
    caption: str
    spec: Spec
    table: Table | None = None
    """The same data as a table."""


def clip_text(text: object, length: int = _MAX_TEXT) -> str:
    """Return text as one line that is safe and short enough for a chart.

    Vega takes a word like ``constructor`` for the property that every JavaScript object has, and
    draws nothing. With an invisible character appended, it is a word like any other.
    """
    line = sanitize_line(str(text))
    if line in _OBJECT_PROPERTIES:
        return f"{line}\N{WORD JOINER}"
    return line if len(line) <= length else line[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def round_for_chart(value: float) -> float:
    """Return a number with as many digits as a chart can show."""
    return float(f"{value:.6g}")


def chart_spec(
    labels: Sequence[str], rows: Rows, height: int, description: str, **more: Any
) -> Spec:
    """Return a chart specification.

    Args:
        labels: The labels of all groups, in order.
        rows: The data. Each row has its group under ``g``.
        height: The height in pixels. The width is that of the page.
        description: The text for screen readers.
        more: The rest of the specification; ``titles`` are the tooltip titles by field.
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
        "usermeta": {"titles": [[field, clip_text(title)] for field, title in titles.items()]},
        **more,
    }


def color_and_shape(labels: Sequence[str]) -> Spec:
    """Return the encoding of groups by color and shape."""
    return _by_color_and(labels, "shape", _SHAPES)


def color_and_dash(labels: Sequence[str]) -> Spec:
    """Return the encoding of groups by color and dashes."""
    return _by_color_and(labels, "strokeDash", _DASHES)


def _by_color_and(labels: Sequence[str], channel: str, values: Sequence[Any]) -> Spec:
    group: Spec = {"field": "g", "type": "nominal", "title": None}
    domain = {"domain": list(labels)}
    return {
        "color": group | {"scale": domain, "legend": {"labelLimit": 220}},
        channel: group | {"scale": domain | {"range": values}, "legend": {}},
    }


def value_axis(metric: str, visible: AxisRange | None) -> Spec:
    """Return the encoding of a metric on the vertical axis."""
    return number_axis("y", metric, scale=visible.scale if visible else {"zero": False})


def number_axis(field: str, title: str, **more: Any) -> Spec:
    """Return the encoding of a number on an axis that does not have to start at 0."""
    scale = more.pop("scale", {"zero": False})
    return {
        "field": field,
        "type": "quantitative",
        "title": clip_text(title),
        "scale": scale,
        **more,
    }


def tooltip_encoding(titles: Mapping[str, str]) -> Spec:
    """Return the tooltip encoding of these fields.

    The page's script takes the titles from `chart_spec`. As keys of Vega's tooltip object, two
    equal titles would become one, and some names would not work.
    """
    return {"tooltip": [{"field": field, "title": field} for field in titles]}
