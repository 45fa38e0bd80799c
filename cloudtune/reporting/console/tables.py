"""Tables for people: on stdout, plain where it is no terminal or NO_COLOR is set.

No word is broken to fit: long texts are wrapped between words, and where a terminal has no room for
that either, each row becomes a block of lines, a line a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.dataframes import to_columns

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST = 1_000
"""Rows that are fitted into the width of a terminal; that takes a while for each."""
_LONG = 24
"""Columns of a terminal in which a text can be read that is wrapped."""
_GAP = 3
"""Columns between two of a table."""


def print_table(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows, the columns in the order in which they first occur; absent values are blank."""
    print_columns(to_columns(rows))


def print_columns(held: Mapping[str, Sequence[Any]]) -> None:
    """Print equally long columns; values that are None are blank."""
    from rich.console import Console

    titles = [sanitize_line(name) for name in held]
    numbers = [all(isinstance(v, int | float | None) for v in column) for column in held.values()]
    cells = [list(map(_cell, column)) for column in held.values()]
    console = Console(highlight=False)
    if not console.is_terminal or len(cells[0] if cells else ()) > _MOST:
        for line in _plain(titles, numbers, cells):
            click.echo(line)
        return
    widths = _widths(titles, cells, console.width)
    if widths is None:
        for block in _blocks(titles, cells):
            console.print(block)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title, number, width in zip(titles, numbers, widths, strict=True):
        table.add_column(Text(title), justify="right" if number else "left", width=width)
    for row in zip(*cells, strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def _widths(
    titles: Sequence[str], cells: Sequence[Sequence[str]], room: int
) -> Sequence[int] | None:
    """Return how wide columns are so that no word is broken; None where there is no room."""
    from rich.cells import cell_len

    widths = [
        max(map(cell_len, [title, *column])) for title, column in zip(titles, cells, strict=True)
    ]
    over = sum(widths) + _GAP * (len(widths) - 1) - room
    for place in sorted(range(len(widths)), key=lambda place: -widths[place]):
        if over <= 0:
            break
        words = [word for text in [titles[place], *cells[place]] for word in text.split()]
        least = max(min(_LONG, widths[place]), *map(cell_len, words))
        saved = min(over, widths[place] - least)
        widths[place] -= saved
        over -= saved
    return None if over > 0 else widths


def _blocks(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[RenderableType]:
    """Yield each row as a block, a line a value; blank values are left out."""
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(zip(*cells, strict=True)):
        block = Table.grid(padding=(0, _GAP, 0, 0))
        block.add_column(no_wrap=True, style="bold")
        block.add_column(overflow="fold")
        for title, value in zip(titles, row, strict=True):
            if value:
                block.add_row(Text(title), Text(value))
        if number:
            yield ""
        yield block


def table_lines(held: Mapping[str, Sequence[str]], room: int | None = None) -> Iterator[str]:
    """Yield the lines of a table of texts.

    Args:
        held: Its columns.
        room: How wide a line may be. A table that needs more has each row as a block of lines. When
            left out, the table is as wide as it needs to be.
    """
    from rich.cells import cell_len

    titles = [sanitize_line(name) for name in held]
    cells = [list(map(_cell, column)) for column in held.values()]
    lines = list(_plain(titles, [False] * len(cells), cells))
    if room is None or max(map(cell_len, lines), default=0) <= room:
        yield from lines
        return
    width = max(map(cell_len, titles))
    for number, row in enumerate(zip(*cells, strict=True)):
        if number:
            yield ""
        for title, value in zip(titles, row, strict=True):
            if value:
                yield _line([title, value], [False, False], [width, cell_len(value)])


def _plain(
    titles: Sequence[str], numbers: Sequence[bool], cells: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Yield the lines of a table as wide as it needs to be."""
    from rich.cells import cell_len

    if not titles:
        return
    widths = [
        max(map(cell_len, [title, *column])) for title, column in zip(titles, cells, strict=True)
    ]
    yield _line(titles, numbers, widths)
    yield "─" * (sum(widths) + _GAP * (len(widths) - 1))
    for line in zip(*cells, strict=True):
        yield _line(line, numbers, widths)


def _line(cells: Sequence[str], numbers: Sequence[bool], widths: Sequence[int]) -> str:
    from rich.cells import cell_len

    padded: list[str] = []
    for cell, number, width in zip(cells, numbers, widths, strict=True):
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if number else cell + blanks)
    return (" " * _GAP).join(padded).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    cell = f"{value:.6g}" if isinstance(value, float) else str(value)
    return sanitize_line(cell)
