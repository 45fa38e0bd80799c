"""The HTML report: template, style, scripts, and charts in one file that loads nothing.

Its content security policy allows only its own two scripts and its own style, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudtune._version import __version__
from cloudtune.comparison.comparison import Comparison
from cloudtune.errors import import_extra
from cloudtune.reporting.documents.html.chart import Chart
from cloudtune.reporting.documents.html.confirmation_chart import confirmation_chart
from cloudtune.reporting.documents.html.downsample import downsample
from cloudtune.reporting.documents.html.explanation_chart import explanation_chart
from cloudtune.reporting.documents.html.progress_charts import (
    learning_chart,
    progress_charts,
)
from cloudtune.reporting.documents.html.space_charts import (
    front_chart,
    parallel_chart,
    slice_charts,
)
from cloudtune.reporting.documents.html.vega import vega_bundle
from cloudtune.reporting.documents.overview import describe_overview
from cloudtune.reporting.documents.search_tables import confirmation_tables
from cloudtune.reporting.documents.tables import build_tables
from cloudtune.reporting.documents.wording import (
    describe_objectives,
    shared_caveats,
    verdict_items,
    verdict_title,
)
from cloudtune.reporting.sanitize import sanitize_line, sanitize_lines

_HERE = Path(__file__).parent
_MAX_TEXT = 400
"""Characters of a text from a study or a log on the page."""


def render_html(comparison: Comparison) -> str:
    """Return a comparison as one HTML file.

    Raises:
        MissingExtraError: If jinja2 or vl-convert is not installed.
    """
    jinja2 = import_extra("jinja2", "a report as HTML", "report")
    tables = {table.id: table for table in build_tables(comparison)}
    importance = tables.get("importance")
    most_important_first = [row[0] for row in importance.rows] if importance else []
    charts, sampling_note = _draw(comparison, most_important_first)
    library = _escape_end_tag(vega_bundle())
    script = _escape_end_tag((_HERE / "script.js").read_text("utf-8"))
    style = (_HERE / "style.css").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"text": _limit_text, "lines": sanitize_lines}
    page: str = environment.get_template("template.html").render(
        comparison=comparison,
        objectives=describe_objectives(comparison),
        verdict_title=verdict_title,
        describe_overview=describe_overview,
        verdict_items=verdict_items,
        shared_caveats=shared_caveats,
        labels=[group.label for group in comparison.groups],
        tables=tables,
        confirmation_tables=confirmation_tables,
        charts=charts,
        specs={chart.id: chart.spec for some in charts.values() for chart in some},
        sampling_note=sampling_note,
        created=time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()),
        version=__version__,
        policy=_security_policy([library, script], style),
        library=library,
        script=script,
        style=style,
    )
    return page


def _draw(comparison: Comparison, keys: Sequence[str]) -> tuple[dict[str, list[Chart]], str]:
    """Return the charts by section, and how many trials are drawn, if not all are."""
    groups, study = comparison.groups, comparison.study
    objective = study.objectives[0]
    labels = [group.label for group in groups]
    trials, sampling_note = downsample(groups, objective.goal)
    sections: dict[str, list[Chart | None]] = {
        "progress": [*progress_charts(comparison, labels)],
        "confirmation": [confirmation_chart(c, labels[0]) for c in comparison.confirmations],
        "explanation": [
            explanation_chart(comparison.explanation, labels[0]) if comparison.explanation else None
        ],
        "front": [front_chart(comparison, trials, labels)],
        "slices": [*slice_charts(study, trials, labels, keys)],
        "parallel": [parallel_chart(study, trials, labels)],
        "learning": [learning_chart(groups, objective, labels)],
    }
    return {name: list(filter(None, charts)) for name, charts in sections.items()}, sampling_note


def _limit_text(value: Any, length: int = _MAX_TEXT) -> str:
    """Return a value as one line of safe text of limited length."""
    line = sanitize_line(str(value))
    return line if len(line) <= length else line[:length] + "\N{HORIZONTAL ELLIPSIS}"


def _escape_end_tag(script: str) -> str:
    """Return a script that does not close its own element."""
    return script.replace("</script", r"<\/script")


def _security_policy(scripts: Sequence[str], style: str) -> str:
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
