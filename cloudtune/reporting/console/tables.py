"""Tables on the terminal and in text reports, drawn by rich.

Words are never broken. Long text wraps between words. If a terminal is too narrow even for that,
each row becomes a block with one line for each value.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cloudtune.reporting.console.colors import has_color
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.dataframes import to_columns

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_MAX_RICH_ROWS = 1_000
"""rich needs about 0.5 ms a row. Longer tables are written directly, 70 times as fast."""
_GAP = 3
"""Blank columns between two columns of a table, if there is room."""
_LAYOUTS = ((_GAP, 24), (2, 24), (2, 12), (1, 12))
"""The gap, and the width below which no column of text is narrowed; the first that fits is used."""
_UNLIMITED = 1_000_000


def print_table(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table. Columns are in order of first occurrence; absent values are blank."""
    print_columns(to_columns(rows))


def print_columns(columns: Mapping[str, Sequence[Any]]) -> None:
    """Print columns of equal length as a table on stdout; None is blank."""
    from rich.console import Console

    console = Console(
        highlight=False,
        force_jupyter=False,
        color_system="auto" if has_color(sys.stdout) else None,
    )
    for line in _lines(columns, console, console.width if console.is_terminal else _UNLIMITED):
        click.echo(line, color=True)


def render_table(columns: Mapping[str, Sequence[Any]], width: int | None = None) -> list[str]:
    """Return columns of equal length as the lines of a table without styles.

    Args:
        columns: The columns by title.
        width: The width of the terminal in columns; unlimited if None.
    """
    from rich.console import Console

    console = Console(
        file=io.StringIO(), color_system=None, force_terminal=False, force_jupyter=False
    )
    return _lines(columns, console, _UNLIMITED if width is None else width)


def _lines(columns: Mapping[str, Sequence[Any]], console: Console, width: int) -> list[str]:
    from rich.cells import cell_len
    from rich.console import Group

    texts = [[sanitize_line(title), *map(_format, values)] for title, values in columns.items()]
    align_right = [all(isinstance(v, int | float | None) for v in c) for c in columns.values()]
    widths = [max(map(cell_len, column)) for column in texts]
    titles, *rows = zip(*texts, strict=True) if texts else [()]
    if not titles or len(rows) > _MAX_RICH_ROWS:
        return list(_plain_lines(texts, align_right, widths))
    console.width = width
    tables = (
        _table(titles, rows, align_right, narrowed, gap)
        for gap, least in _LAYOUTS
        if (narrowed := _narrow(widths, texts, width - gap * (len(widths) - 1), least))
    )
    with console.capture() as capture:
        console.print(next(tables, None) or Group(*_blocks(titles, rows)))
    return [line.rstrip() for line in capture.get().splitlines()]


def _format(value: Any) -> str:
    if value is None:
        return ""
    return sanitize_line(f"{value:.6g}" if isinstance(value, float) else str(value))


def _table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    align_right: Sequence[bool],
    widths: Sequence[int],
    gap: int,
) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    padding = (0, min(gap - 1, 1), 0, max(gap - 2, 0))  # next to the divider, which is blank
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)
    for title, right, width in zip(titles, align_right, widths, strict=True):
        table.add_column(Text(title), justify="right" if right else "left", width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _blocks(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[RenderableType]:
    """Yield each row as a block with one line for each value that is not blank."""
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(rows):
        block = Table.grid(padding=(0, _GAP, 0, 0))
        block.add_column(no_wrap=True, style="bold")
        block.add_column(overflow="fold")
        for title, value in zip(titles, row, strict=True):
            if value:
                block.add_row(Text(title), Text(value))
        if number:
            yield ""
        yield block


def _narrow(
    widths: Sequence[int], texts: Sequence[Sequence[str]], room: int, least: int
) -> Sequence[int] | None:
    """Return column widths that fit and break no word, text not below the least; None if none do.

    rich does not do this: it breaks words when it narrows columns.
    """
    from rich.cells import cell_len

    narrowed = list(widths)
    excess = sum(widths) - room
    for index in sorted(range(len(widths)), key=lambda index: -widths[index]):
        if excess <= 0:
            break
        words = (word for text in texts[index] for word in text.split())
        longest = max(map(cell_len, words), default=0)
        saved = min(excess, widths[index] - max(min(least, widths[index]), longest))
        narrowed[index] -= saved
        excess -= saved
    return None if excess > 0 else narrowed


def _plain_lines(
    texts: Sequence[Sequence[str]], align_right: Sequence[bool], widths: Sequence[int]
) -> Iterator[str]:
    from rich.cells import cell_len

    for number, row in enumerate(zip(*texts, strict=True)):
        padded: list[str] = []
        for cell, right, width in zip(row, align_right, widths, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if right else cell + blanks)
        yield (" " * _GAP).join(padded).rstrip()
        if number == 0:
            yield "─" * (sum(widths) + _GAP * (len(widths) - 1))
