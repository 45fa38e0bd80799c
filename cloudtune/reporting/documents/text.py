"""A comparison as text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.comparison.overview import Overview
from cloudtune.reporting.console.tables import render_table
from cloudtune.reporting.documents.overview import describe_overview
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.documents.tables import build_tables
from cloudtune.reporting.documents.wording import (
    describe_objectives,
    shared_caveats,
    verdict_items,
    verdict_title,
)
from cloudtune.reporting.phrases import format_short
from cloudtune.reporting.sanitize import sanitize_line

_WIDTH = 79
_INDENT = "  "


def render_text(comparison: Comparison, width: int | None = None) -> str:
    """Return a comparison as lines of text, the verdict first. The text is safe to print.

    Args:
        comparison: The comparison to show.
        width: The width of the terminal in columns. In a table that does not fit, each row becomes
            a block of lines. None if the text does not go to a terminal.
    """
    title = f"{comparison.name}: {describe_objectives(comparison)}"
    lines: list[str] = [title, *_wrap(comparison.description, "")]
    for verdict in comparison.verdicts:
        lines += ["", *_verdict_lines(comparison, verdict)]
    lines = [sanitize_line(line) for line in lines]
    for table in build_tables(comparison):
        body = _prose(table) if table.prose else _table_lines(table, width)
        lines += ["", sanitize_line(table.title), *body, *_wrap(table.note, _INDENT)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict_lines(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    yield verdict_title(verdict).upper()
    if verdict.overview:
        yield from _overview_lines(comparison, verdict, verdict.overview)
        return
    for item in verdict_items(comparison, verdict):
        yield from _wrap(f"{item.title}: {item.sentence}", "  ", "    ")
        yield from _wrap(f"{item.certainty}: {item.reason}", "    ")
        for label, value, interval in item.rows:
            yield f"    {label}: {value}{f'  ({interval})' if interval else ''}"
        for caveat in item.caveats:
            yield from _wrap(f"! {caveat}", "    ", "      ")
    for caveat in shared_caveats(verdict):
        yield from _wrap(f"! {caveat}", "  ", "    ")
    if verdict.rerun_command:
        yield "  To repeat the runs, then report all of them together:"
        yield f"    {verdict.rerun_command}"


def _overview_lines(comparison: Comparison, verdict: Verdict, overview: Overview) -> Iterator[str]:
    text = describe_overview(comparison, verdict, overview)
    yield from _wrap(f"Best: {text.headline}", "  ", "    ")
    widths = [max((len(row[i]) for row in text.parameters), default=0) for i in (0, 1)]
    for name, value, note in text.parameters:
        yield f"      {name:{widths[0]}}   {value:{widths[1] if note else 0}}   {note}".rstrip()
    for title, sentence in text.items:
        yield from _wrap(f"{title}: {sentence}", "  ", "    ")
    for caveat in text.caveats:
        yield from _wrap(f"! {caveat}", "  ", "    ")
    if overview.next_steps:
        yield "  What to run next:"
    for step in overview.next_steps:
        yield from _wrap(f"- {step.reason}:", "    ", "      ")
        yield f"      {step.command}"


def _table_lines(table: Table, width: int | None) -> Iterable[str]:
    columns = {
        title: [row[index] and format_short(row[index]) for row in table.rows]
        for index, title in enumerate(table.columns)
    }
    lines = render_table(columns, None if width is None else width - len(_INDENT))
    return [f"{_INDENT}{line}" for line in lines]


def _prose(table: Table) -> list[str]:
    lines: list[str] = []
    for row in table.rows:
        cells, commands = (row[:-1], row[-1:]) if table.command else (row, ())
        lines += _wrap(sanitize_line("  ".join(filter(None, cells))), "  ", "      ")
        lines += [f"      {sanitize_line(command)}" for command in commands]
    return lines


def _wrap(text: str, first: str, rest: str | None = None) -> list[str]:
    indent = first if rest is None else rest
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent)
