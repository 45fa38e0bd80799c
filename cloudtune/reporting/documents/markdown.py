"""A comparison as Markdown, for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.reporting.documents.tables import Table, build_tables
from cloudtune.reporting.documents.wording import (
    VerdictItem,
    describe_objectives,
    shared_caveats,
    verdict_items,
    verdict_title,
)
from cloudtune.reporting.sanitize import sanitize_line

_MARKS = re.compile(r"([\\`*_{}\[\]#|~$])")
_START = re.compile(r"^(\d*)([-+=]|(?<=\d)[.)](?=\s|$))")
"""What makes a list or a heading at the start of a line."""
_ENTITIES = {"@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}
"""What makes links and mentions, and how it is shown without making one."""
_LONGEST = 300


def render_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown: the verdict, and the tables folded below it."""
    lines = [f"## {_text(comparison.name)}", "", _text(describe_objectives(comparison))]
    if comparison.description:
        lines += ["", _text(comparison.description)]
    for verdict in comparison.verdicts:
        lines += ["", f"### {verdict_title(verdict)}", "", *_verdict(comparison, verdict)]
    for table in build_tables(comparison):
        lines += ["", *_folded(table)]
    return "\n".join(lines) + "\n"


def _verdict(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    for item in verdict_items(comparison, verdict):
        yield f"- **{_text(item.title)}.** {_text(item.sentence)}"
        yield f"  *{_text(item.certainty.capitalize())}: {_text(item.reason)}.*"
        yield from _entries(item)
        for caveat in item.caveats:
            yield f"  - \N{WARNING SIGN} {_text(caveat)}"
    for caveat in shared_caveats(verdict):
        yield f"- \N{WARNING SIGN} {_text(caveat)}"
    if verdict.rerun_command:
        yield ""
        yield "Repeat it, then report all runs together:"
        yield ""
        yield f"    {sanitize_line(verdict.rerun_command)}"


def _entries(item: VerdictItem) -> Iterator[str]:
    for label, value, range_ in item.rows:
        yield f"  - {_text(label)}: {_text(value)}{f' ({_text(range_)})' if range_ else ''}"


def _folded(table: Table) -> Iterator[str]:
    yield f"<details><summary>{html.escape(sanitize_line(table.title))}</summary>"
    yield ""
    yield f"| {' | '.join(_text(name) for name in table.columns)} |"
    yield "|" + "---|" * len(table.columns)
    for row in table.rows:
        yield f"| {' | '.join(map(_text, row))} |"
    if table.note:
        yield ""
        yield _text(table.note)
    yield ""
    yield "</details>"


def _text(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no link, and nobody is mentioned."""
    line = sanitize_line(text)
    if len(line) > _LONGEST:
        line = line[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
    escaped = _START.sub(r"\1\\\2", _MARKS.sub(r"\\\1", html.escape(line, quote=False)))
    for made, shown in _ENTITIES.items():
        escaped = escaped.replace(made, shown)
    return escaped
