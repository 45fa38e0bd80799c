"""Cells of CSV files as values."""

from __future__ import annotations

import math
from typing import Any

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


def read_cell(text: str) -> Any:
    """Return the number, the boolean or the text in a cell; None if it is empty.

    >>> read_cell("1e-3"), read_cell("True"), read_cell("relu"), read_cell("")
    (0.001, True, 'relu', None)
    """
    if text in _WORDS:
        return _WORDS[text]
    number = parse_number(text)
    return text if number is None else number
