"""A table of text, for every format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text."""

    id: str
    title: str
    note: str
    """What a reader needs to know to read the table."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: bool = False
    """Whether the last columns are sentences, too long for the width of a terminal."""
    command: bool = False
    """Whether the last column is a command, which must stay on one line."""
