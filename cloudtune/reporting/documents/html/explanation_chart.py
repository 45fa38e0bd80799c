"""The chart of what a search believes: each trial as measured, and as the others predict it."""

from __future__ import annotations

from cloudtune.comparison.explanation import Explanation
from cloudtune.reporting.documents.html.chart import (
    Chart,
    Rows,
    Spec,
    chart_spec,
    number_axis,
    round_for_chart,
    tooltip_encoding,
)

_HEIGHT = 300


def explanation_chart(found: Explanation, label: str) -> Chart | None:
    """Return the chart of a group's job with a label; None if its model predicts nothing."""
    if not found.checked:
        return None
    names = {"p": "predicted", "m": "measured", "l": "low", "h": "high"}
    rows: Rows = [
        {"g": label, "t": each.number}
        | {key: round_for_chart(getattr(each, name)) for key, name in names.items()}
        for each in found.checked
    ]
    x = number_axis("m", f"{found.metric}, measured")
    titles = {"t": "trial", "m": "measured", "p": "predicted", "l": "from", "h": "to"}
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "color": "#888", "strokeDash": [3, 3]},
            "encoding": {"x": x, "y": number_axis("m", "")},
        },
        {
            "mark": {"type": "rule", "opacity": 0.35},
            "encoding": {"x": x, "y": number_axis("l", ""), "y2": {"field": "h"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 50},
            "encoding": {
                "x": x,
                "y": number_axis("p", "predicted from the other trials"),
                **tooltip_encoding(titles),
            },
        },
    ]
    description = f"{found.metric} of each trial, measured and predicted from the others"
    return Chart(
        f"chart-explanation-{found.run}",
        "Predicted and measured",
        "Each trial, predicted from all others, with the 95 % interval of its measurement. On the "
        "dashed line, both agree.",
        chart_spec([label], rows, _HEIGHT, description, titles=titles, layer=layers),
    )
