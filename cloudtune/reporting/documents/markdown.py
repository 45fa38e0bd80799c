"""A comparison as Markdown, for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.comparison.overview import Overview
from cloudtune.reporting.documents.overview import describe_overview
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.documents.tables import build_tables
from cloudtune.reporting.documents.wording import (
    describe_objectives,
    shared_caveats,
    verdict_items,
    verdict_title,
)
from cloudtune.reporting.sanitize import sanitize_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")
_BLOCK_START = re.compile(r"^(\d*)([-+=]|(?<=\d)[.)](?=\s|$))")
"""The start of a list item or a heading."""
_ENTITIES = {"@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}
"""The start of a mention or a link, and how to show it without creating one."""
_MAX_LENGTH = 300


def render_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown: the verdict, and the tables folded below it."""
    lines = [f"## {_escape(comparison.name)}", "", _escape(describe_objectives(comparison))]
    if comparison.description:
        lines += ["", _escape(comparison.description)]
    for verdict in comparison.verdicts:
        lines += ["", f"### {verdict_title(verdict)}", "", *_verdict_lines(comparison, verdict)]
    for table in build_tables(comparison):
        lines += ["", *_folded_table(table)]
    return "\n".join(lines) + "\n"


def _verdict_lines(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    if verdict.overview:
        yield from _overview_lines(comparison, verdict, verdict.overview)
        return
    for item in verdict_items(comparison, verdict):
        yield f"- **{_escape(item.title)}.** {_escape(item.sentence)}"
        yield f"  *{_escape(item.certainty.capitalize())}: {_escape(item.reason)}.*"
        for label, value, interval in item.rows:
            suffix = f" ({_escape(interval)})" if interval else ""
            yield f"  - {_escape(label)}: {_escape(value)}{suffix}"
        for caveat in item.caveats:
            yield f"  - \N{WARNING SIGN} {_escape(caveat)}"
    for caveat in shared_caveats(verdict):
        yield f"- \N{WARNING SIGN} {_escape(caveat)}"
    if verdict.rerun_command:
        yield ""
        yield "To repeat the runs, then report all of them together:"
        yield ""
        yield f"    {sanitize_line(verdict.rerun_command)}"


def _overview_lines(comparison: Comparison, verdict: Verdict, overview: Overview) -> Iterator[str]:
    text = describe_overview(comparison, verdict, overview)
    yield f"**Best: {_escape(text.headline)}**"
    if text.parameters:
        yield ""
        yield "| parameter | best value |"
        yield "|---|---|"
    for name, value, note in text.parameters:
        yield f"| {_escape(name)} | {_escape(value)}{f' ({_escape(note)})' if note else ''} |"
    yield ""
    for title, sentence in text.items:
        yield f"- **{_escape(title)}.** {_escape(sentence)}"
    for caveat in text.caveats:
        yield f"- \N{WARNING SIGN} {_escape(caveat)}"
    if overview.next_steps:
        yield ""
        yield "What to run next:"
    for step in overview.next_steps:
        yield ""
        yield f"- {_escape(step.reason)}:"
        yield ""
        yield f"      {sanitize_line(step.command)}"


def _folded_table(table: Table) -> Iterator[str]:
    yield f"<details><summary>{html.escape(sanitize_line(table.title))}</summary>"
    yield ""
    yield f"| {' | '.join(map(_escape, table.columns))} |"
    yield "|" + "---|" * len(table.columns)
    for row in table.rows:
        yield f"| {' | '.join(map(_escape, row))} |"
    if table.note:
        yield ""
        yield _escape(table.note)
    yield ""
    yield "</details>"


def _escape(text: str) -> str:
    """Return text that Markdown shows literally, without markup, links, or mentions."""
    line = sanitize_line(text)
    if len(line) > _MAX_LENGTH:
        line = line[:_MAX_LENGTH] + "\N{HORIZONTAL ELLIPSIS}"
    escaped = _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))
    escaped = _BLOCK_START.sub(r"\1\\\2", escaped)
    for start, entity in _ENTITIES.items():
        escaped = escaped.replace(start, entity)
    return escaped
