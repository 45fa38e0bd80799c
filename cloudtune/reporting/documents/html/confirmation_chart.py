"""The chart of a confirmation: each candidate in the search, and repeated with its interval."""

from __future__ import annotations

from cloudtune.confirmation.analysis import ConfirmationResult, ConfirmedCandidate
from cloudtune.reporting.documents.html.chart import (
    Chart,
    Rows,
    Spec,
    chart_spec,
    clip_text,
    number_axis,
    round_for_chart,
    tooltip_encoding,
)

_ROW_HEIGHT = 34


def confirmation_chart(result: ConfirmationResult, label: str) -> Chart | None:
    """Return the chart of a confirmation, which belongs to the group with a label."""
    rows: Rows = [_row(each, label) for each in result.candidates if each.confirmed]
    if not rows:
        return None
    y: Spec = {
        "field": "c",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labelLimit": 240},
    }
    titles = {"c": "candidate", "v": "in the search", "m": "repeated", "k": "seeds"}
    x = number_axis("m", result.metric)
    layers: list[Spec] = [
        {
            "transform": [{"filter": "isValid(datum.l)"}],
            "mark": {"type": "rule", "strokeWidth": 2, "color": "#888"},
            "encoding": {"x": number_axis("l", result.metric), "x2": {"field": "h"}, "y": y},
        },
        {
            "transform": [{"filter": "isValid(datum.v)"}],
            "mark": {"type": "point", "shape": "diamond", "size": 70},
            "encoding": {"x": number_axis("v", result.metric), "y": y, **tooltip_encoding(titles)},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90},
            "encoding": {"x": x, "y": y, **tooltip_encoding(titles)},
        },
    ]
    description = f"{result.metric} of the candidates, in the search and repeated"
    height = _ROW_HEIGHT * len(rows) + 40
    return Chart(
        f"chart-{result.run}",
        "In the search, and repeated",
        f"Diamonds: {result.search_metric} in the search. Dots: {result.metric} repeated with new "
        "seeds, with its 95 % interval where it has bounds.",
        chart_spec([label], rows, height, description, titles=titles, layer=layers),
    )


def _row(each: ConfirmedCandidate, label: str) -> dict[str, object]:
    assert each.confirmed is not None
    row: dict[str, object] = {"g": label, "c": clip_text(each.label), "k": each.seeds}
    numbers = {
        "v": each.value,
        "m": each.confirmed.mean,
        "l": each.confirmed.low,
        "h": each.confirmed.high,
    }
    return row | {n: round_for_chart(v) for n, v in numbers.items() if v is not None}
