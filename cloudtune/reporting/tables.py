"""Tables for people: on stdout, plain where it is no terminal or NO_COLOR is set."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cloudtune.reporting.describe import printable


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows, the columns in the order in which they first occur; absent values are blank."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        numbers = all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(
            Text(printable(name)), justify="right" if numbers else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(file=io.StringIO(), width=10_000, highlight=False, color_system=None)
    with plain.capture() as captured:
        plain.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    cell = f"{value:.6g}" if isinstance(value, float) else str(value)
    return printable(cell)
