"""The page: template, style, script and charts put into one file that loads nothing.

Its content security policy lets only these run: the scripts whose hashes it names, and one style.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cloudtune._version import __version__
from cloudtune.comparison.comparison import Comparison
from cloudtune.errors import MissingExtraError
from cloudtune.reporting.documents.html.chart import Chart
from cloudtune.reporting.documents.html.downsample import downsample
from cloudtune.reporting.documents.html.progress_charts import (
    learning_chart,
    progress_charts,
    time_chart,
)
from cloudtune.reporting.documents.html.space_charts import (
    front_chart,
    importance_chart,
    parallel_chart,
    slice_charts,
    slice_range,
)
from cloudtune.reporting.documents.tables import (
    best_trials_table,
    comparability_table,
    distance_table,
    failures_table,
    findings_table,
    importance_table,
    runs_table,
)
from cloudtune.reporting.documents.wording import (
    describe_objectives,
    shared_caveats,
    verdict_items,
    verdict_title,
)
from cloudtune.reporting.sanitize import sanitize_line, sanitize_lines

_HERE = Path(__file__).parent
_LONGEST = 400
"""Characters of a text from a study or a log that the page shows."""


def render_html(comparison: Comparison) -> str:
    """Return a comparison as one HTML file.

    Args:
        comparison: The comparison to show.

    Raises:
        MissingExtraError: If jinja2 or vl-convert is not installed.
    """
    try:
        import jinja2

        vl_convert: Any = import_module("vl_convert")
    except ImportError as error:
        raise MissingExtraError("a report as HTML", "report") from error
    charts, thinned, slices_note = _charts(comparison)
    library = _no_end(vl_convert.javascript_bundle())
    script = _no_end((_HERE / "script.js").read_text("utf-8"))
    style = (_HERE / "style.css").read_text("utf-8")
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"text": _text, "lines": sanitize_lines}
    return made.get_template("template.html").render(
        comparison=comparison,
        aims=describe_objectives(comparison),
        verdicts=[
            (
                verdict_title(each),
                shared_caveats(each),
                verdict_items(comparison, each),
                each.rerun_command,
            )
            for each in comparison.verdicts
        ],
        labels=[group.label for group in comparison.groups],
        runs=runs_table(comparison),
        best_trials=best_trials_table(comparison),
        distances=distance_table(comparison),
        failures=failures_table(comparison),
        findings=findings_table(comparison),
        comparability=comparability_table(comparison),
        logs=[(each.label, each.number, each.log_tail) for each in comparison.failures],
        charts=charts,
        specs={chart.id: chart.spec for each in charts.values() for chart in each},
        sampling_note=thinned,
        slice_note=slices_note,
        created=time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()),
        version=__version__,
        policy=_policy([library, script], style),
        library=library,
        script=script,
        style=style,
    )


def _charts(comparison: Comparison) -> tuple[dict[str, list[Chart]], str, str]:
    """Return the charts by section, and what must be known of trials that are not drawn.

    The last is what must be known of the slices' axes.
    """
    groups, study = comparison.sources, comparison.study
    objective = study.objectives[0]
    labels = [group.label for group in groups]
    some, thinned = downsample(groups, objective.goal)
    importance = importance_chart(comparison, labels)
    order = [row[0] for row in importance_table(comparison).rows]
    found: dict[str, list[Chart | None]] = {
        "progress": [*progress_charts(comparison, labels)],
        "front": [front_chart(comparison, some, labels)],
        "effort": [time_chart(comparison, labels)],
        "importance": [importance],
        "slices": [*slice_charts(study, some, labels, order)],
        "parallel": [parallel_chart(study, some, labels)],
        "learning": [learning_chart(groups, objective, labels)],
    }
    shown = slice_range(study, some)
    note = f"{shown.note}; hollow marks at its edge stand for them." if shown else ""
    return {name: [e for e in charts if e] for name, charts in found.items()}, thinned, note


def _text(value: Any, most: int = _LONGEST) -> str:
    """Return a text as one harmless line of bounded length."""
    line = sanitize_line(str(value))
    return line if len(line) <= most else line[:most] + "\N{HORIZONTAL ELLIPSIS}"


def _no_end(script: str) -> str:
    """Return a script that does not end its own element."""
    return script.replace("</script", r"<\/script")


def _policy(scripts: Sequence[str], style: str) -> str:
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
