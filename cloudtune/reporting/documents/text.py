"""A comparison for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.reporting.console.tables import render_table
from cloudtune.reporting.documents.tables import Table, build_tables
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


def render_text(comparison: Comparison, room: int | None = None) -> str:
    """Return a comparison as lines of text, the verdict first; names and logs cannot harm.

    Args:
        comparison: What is shown.
        room: How wide the terminal is, if it is one: a table that is wider has a line a value.
    """
    lines: list[str] = [
        f"{comparison.name}: {describe_objectives(comparison)}",
        comparison.description,
    ]
    for verdict in comparison.verdicts:
        lines += ["", *_verdict(comparison, verdict)]
    lines = [sanitize_line(line) for line in lines]
    for table in build_tables(comparison):
        shown = _prose(table) if table.prose else _indented(_rows(table, room))
        lines += ["", sanitize_line(table.title), *shown]
        lines += _wrapped(table.note, "  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    yield verdict_title(verdict).upper()
    for item in verdict_items(comparison, verdict):
        yield from _wrapped(f"{item.title}: {item.sentence}", "  ", "    ")
        yield from _wrapped(f"{item.certainty}: {item.reason}", "    ")
        for label, value, range_ in item.rows:
            yield f"    {label}: {value}{f'  ({range_})' if range_ else ''}"
        for caveat in item.caveats:
            yield from _wrapped(f"! {caveat}", "    ", "      ")
    for caveat in shared_caveats(verdict):
        yield from _wrapped(f"! {caveat}", "  ", "    ")
    if verdict.rerun_command:
        yield "  Repeat it, then report all runs together:"
        yield f"    {verdict.rerun_command}"


def _rows(table: Table, room: int | None) -> Sequence[str]:
    columns: Mapping[str, list[str]] = {
        name: [format_short(row[place]) for row in table.rows]
        for place, name in enumerate(table.columns)
    }
    return render_table(columns, None if room is None else room - len(_INDENT))


def _prose(table: Table) -> list[str]:
    lines: list[str] = []
    for row in table.rows:
        words, commands = (row[:-1], row[-1:]) if table.command else (row, ())
        lines += _wrapped(sanitize_line("  ".join(filter(None, words))), "  ", "      ")
        lines += [f"      {sanitize_line(command)}" for command in commands]
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"{_INDENT}{line}" for line in lines]


def _wrapped(text: str, first: str, later: str | None = None) -> list[str]:
    indent = first if later is None else later
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent)
