"""A comparison as Markdown, for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.reporting.documents.tables import Table, tables
from cloudtune.reporting.documents.wording import Said, aims, said, shared, title
from cloudtune.reporting.sanitize import printable

_MARKS = re.compile(r"([\\`*_{}\[\]#|~$])")
_START = re.compile(r"^(\d*)([-+=]|(?<=\d)[.)](?=\s|$))")
"""What makes a list or a heading at the start of a line."""
_ENTITIES = {"@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}
"""What makes links and mentions, and how it is shown without making one."""
_LONGEST = 300


def report_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown: the verdict, and the tables folded below it."""
    lines = [f"## {_text(comparison.name)}", "", _text(aims(comparison))]
    if comparison.description:
        lines += ["", _text(comparison.description)]
    for verdict in comparison.verdicts:
        lines += ["", f"### {title(verdict)}", "", *_verdict(comparison, verdict)]
    for table in tables(comparison):
        lines += ["", *_folded(table)]
    return "\n".join(lines) + "\n"


def _verdict(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    for answer in said(comparison, verdict):
        yield f"- **{_text(answer.title)}.** {_text(answer.sentence)}"
        yield f"  *{_text(answer.certainty.capitalize())}: {_text(answer.why)}.*"
        yield from _standings(answer)
        for caution in answer.cautions:
            yield f"  - \N{WARNING SIGN} {_text(caution)}"
    for caution in shared(verdict):
        yield f"- \N{WARNING SIGN} {_text(caution)}"
    if verdict.repeat:
        yield ""
        yield "Repeat it, then report all runs together:"
        yield ""
        yield f"    {printable(verdict.repeat)}"


def _standings(answer: Said) -> Iterator[str]:
    for label, value, range_ in answer.rows:
        yield f"  - {_text(label)}: {_text(value)}{f' ({_text(range_)})' if range_ else ''}"


def _folded(table: Table) -> Iterator[str]:
    yield f"<details><summary>{html.escape(printable(table.title))}</summary>"
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


def _text(said: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no link, and nobody is mentioned."""
    line = printable(said)
    if len(line) > _LONGEST:
        line = line[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
    escaped = _START.sub(r"\1\\\2", _MARKS.sub(r"\\\1", html.escape(line, quote=False)))
    for made, shown in _ENTITIES.items():
        escaped = escaped.replace(made, shown)
    return escaped
