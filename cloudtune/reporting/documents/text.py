"""A comparison for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.reporting.console.tables import plain_lines
from cloudtune.reporting.documents.tables import Table, tables
from cloudtune.reporting.documents.wording import aims, said, shared, title
from cloudtune.reporting.phrases import short
from cloudtune.reporting.sanitize import printable

_WIDTH = 79
_INDENT = "  "


def report_text(comparison: Comparison, room: int | None = None) -> str:
    """Return a comparison as lines of text, the verdict first; names and logs cannot harm.

    Args:
        comparison: What is shown.
        room: How wide the terminal is, if it is one: a table that is wider has a line a value.
    """
    lines: list[str] = [f"{comparison.name}: {aims(comparison)}", comparison.description]
    for verdict in comparison.verdicts:
        lines += ["", *_verdict(comparison, verdict)]
    lines = [printable(line) for line in lines]
    for table in tables(comparison):
        shown = _prose(table) if table.prose else _indented(_rows(table, room))
        lines += ["", printable(table.title), *shown]
        lines += _wrapped(table.note, "  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    yield title(verdict).upper()
    for answer in said(comparison, verdict):
        yield from _wrapped(f"{answer.title}: {answer.sentence}", "  ", "    ")
        yield from _wrapped(f"{answer.certainty}: {answer.why}", "    ")
        for label, value, range_ in answer.rows:
            yield f"    {label}: {value}{f'  ({range_})' if range_ else ''}"
        for caution in answer.cautions:
            yield from _wrapped(f"! {caution}", "    ", "      ")
    for caution in shared(verdict):
        yield from _wrapped(f"! {caution}", "  ", "    ")
    if verdict.repeat:
        yield "  Repeat it, then report all runs together:"
        yield f"    {verdict.repeat}"


def _rows(table: Table, room: int | None) -> Sequence[str]:
    columns: Mapping[str, list[str]] = {
        name: [short(row[place]) for row in table.rows] for place, name in enumerate(table.columns)
    }
    return list(plain_lines(columns, None if room is None else room - len(_INDENT)))


def _prose(table: Table) -> list[str]:
    lines: list[str] = []
    for row in table.rows:
        words, commands = (row[:-1], row[-1:]) if table.command else (row, ())
        lines += _wrapped(printable("  ".join(filter(None, words))), "  ", "      ")
        lines += [f"      {printable(command)}" for command in commands]
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"{_INDENT}{line}" for line in lines]


def _wrapped(text: str, first: str, later: str | None = None) -> list[str]:
    indent = first if later is None else later
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent)
