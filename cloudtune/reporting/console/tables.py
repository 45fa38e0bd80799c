"""Tables on the terminal and in text reports, drawn by rich.

Words are never broken. Long text wraps between words. If a terminal is too narrow even for that,
each row becomes a block with one line for each value.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.dataframes import to_columns

if TYPE_CHECKING:
    from rich.console import RenderableType

_MAX_RICH_ROWS = 1_000
"""rich needs about 0.5 ms a row. Longer tables are written directly, 70 times as fast."""
_MIN_TEXT_WIDTH = 24
"""Columns of text are not made narrower than this if their text is wider."""
_GAP = 3
"""Blank columns between two columns of a table."""
_UNLIMITED = 1_000_000


def print_table(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table. Columns are in order of first occurrence; absent values are blank."""
    print_columns(to_columns(rows))


def print_columns(columns: Mapping[str, Sequence[Any]]) -> None:
    """Print columns of equal length as a table on stdout; None is blank."""
    from rich.console import Console

    if not columns:
        return
    console = Console(highlight=False)
    cells = _Cells.format(columns)
    if cells.count > _MAX_RICH_ROWS:
        for line in _plain_lines(cells):
            click.echo(line)
        return
    console.width = console.width if console.is_terminal else _UNLIMITED
    with console.capture() as capture:
        console.print(_fit(cells, console.width))
    for line in capture.get().splitlines():
        click.echo(line.rstrip(), color=True)


def render_table(columns: Mapping[str, Sequence[Any]], width: int | None = None) -> list[str]:
    """Return columns of equal length as the lines of a table without styles.

    Args:
        columns: The columns by title.
        width: The width of the terminal in columns; unlimited if None.
    """
    from rich.console import Console

    width = _UNLIMITED if width is None else width
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(_fit(_Cells.format(columns), width))
    return [line.rstrip() for line in capture.get().splitlines()]


@dataclass(frozen=True)
class _Cells:
    """A table as text that is safe to print."""

    titles: list[str]
    is_number: list[bool]
    columns: list[list[str]]

    @staticmethod
    def format(columns: Mapping[str, Sequence[Any]]) -> _Cells:
        return _Cells(
            titles=[sanitize_line(title) for title in columns],
            is_number=[
                all(isinstance(value, int | float | None) for value in column)
                for column in columns.values()
            ],
            columns=[list(map(_format_cell, column)) for column in columns.values()],
        )

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def rows(self) -> Iterator[tuple[str, ...]]:
        return zip(*self.columns, strict=True)

    @property
    def widths(self) -> list[int]:
        """The width that each column needs to show its text on one line."""
        from rich.cells import cell_len

        pairs = zip(self.titles, self.columns, strict=True)
        return [max(map(cell_len, [title, *column])) for title, column in pairs]


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    return sanitize_line(f"{value:.6g}" if isinstance(value, float) else str(value))


def _fit(cells: _Cells, width: int) -> RenderableType:
    """Return the cells as a table, or as blocks if the table does not fit the width."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    widths = _fitting_widths(cells, width)
    if widths is None:
        return Group(*_blocks(cells))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title, is_number, column in zip(cells.titles, cells.is_number, widths, strict=True):
        table.add_column(Text(title), justify="right" if is_number else "left", width=column)
    for row in cells.rows:
        table.add_row(*map(Text, row))
    return table


def _fitting_widths(cells: _Cells, room: int) -> Sequence[int] | None:
    """Return column widths that fit and break no word; None if there are none.

    rich does not do this: it breaks words when it narrows columns.
    """
    from rich.cells import cell_len

    widths = cells.widths
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    for index in sorted(range(len(widths)), key=lambda index: -widths[index]):
        if excess <= 0:
            break
        texts = [cells.titles[index], *cells.columns[index]]
        longest_word = max((cell_len(word) for text in texts for word in text.split()), default=0)
        minimum = max(min(_MIN_TEXT_WIDTH, widths[index]), longest_word)
        saved = min(excess, widths[index] - minimum)
        widths[index] -= saved
        excess -= saved
    return None if excess > 0 else widths


def _blocks(cells: _Cells) -> Iterator[RenderableType]:
    """Yield each row as a block with one line for each value that is not blank."""
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(cells.rows):
        block = Table.grid(padding=(0, _GAP, 0, 0))
        block.add_column(no_wrap=True, style="bold")
        block.add_column(overflow="fold")
        for title, value in zip(cells.titles, row, strict=True):
            if value:
                block.add_row(Text(title), Text(value))
        if number:
            yield ""
        yield block


def _plain_lines(cells: _Cells) -> Iterator[str]:
    from rich.cells import cell_len

    widths = cells.widths

    def pad(row: Iterable[str]) -> str:
        padded: list[str] = []
        for cell, right, width in zip(row, cells.is_number, widths, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if right else cell + blanks)
        return (" " * _GAP).join(padded).rstrip()

    yield pad(cells.titles)
    yield "─" * (sum(widths) + _GAP * (len(widths) - 1))
    yield from map(pad, cells.rows)
