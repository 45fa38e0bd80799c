"""Cells of CSV files as values."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, TextIO

from cloudtune.formats.tool_runs.files import MAX_LINE
from cloudtune.formats.values import parse_number

_WORDS: dict[str, Any] = {
    "": None,
    "True": True,
    "true": True,
    "False": False,
    "false": False,
    "None": None,
    "null": None,
    "nan": math.nan,
    "NaN": math.nan,
    "inf": math.inf,
    "Infinity": math.inf,
    "-inf": -math.inf,
    "-Infinity": -math.inf,
}


def read_rows(text: TextIO) -> Iterator[dict[str, str] | None]:
    """Yield the rows of a CSV text by column, and None for a row that is too long or too short.

    A line beyond the limit is several rows.

    Raises:
        csv.Error: If it is no CSV.
    """
    if csv.field_size_limit() < MAX_LINE:
        csv.field_size_limit(MAX_LINE)
    lines = iter(partial(text.readline, MAX_LINE), "")
    row: dict[Any, Any]
    for row in csv.DictReader(lines):
        yield None if None in row or None in row.values() else row


def read_cell(text: str) -> Any:
    """Return the number, the boolean or the text in a cell; None if it is empty.

    >>> read_cell("1e-3"), read_cell("True"), read_cell("relu"), read_cell("")
    (0.001, True, 'relu', None)
    """
    if text in _WORDS:
        return _WORDS[text]
    number = parse_number(text)
    return text if number is None else number
