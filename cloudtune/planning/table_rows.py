"""The rows of a table: CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from cloudtune.errors import import_extra
from cloudtune.study.quantities import format_count
from cloudtune.study.regular_files import open_regular

TrialKey = tuple[object, ...]
"""What tells a trial of the ledger from all others, also in a table."""


def trial_key(
    run: object, provider: object, number: object, parameters: Mapping[str, object]
) -> TrialKey:
    """Return the key of a trial; with its parameters, since a table may mean another run."""
    return str(run), str(provider), str(number), frozenset(parameters.items())


class Row(NamedTuple):
    """A row of a table."""

    number: int
    """Its line in the file, or in a Parquet file its number from 1."""
    cells: Mapping[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a table, with the maps in it as columns ``a.b``.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is malformed; a `csv.Error` if a CSV file is.
        MissingExtraError: If a Parquet file needs a package that is not installed.
    """
    if path.suffix.lower() == ".parquet":
        with open_regular(path):  # neither a pipe nor a device
            pass
        parquet = import_extra("pyarrow.parquet", "a Parquet file", "data")
        errors = import_extra("pyarrow", "a Parquet file", "data").ArrowException
        try:
            rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        except errors as error:
            raise ValueError(f"not a Parquet file: {error}") from error
        yield from (Row(number, _flat(row, number)) for number, row in enumerate(rows, 1))
        return
    with (
        open_regular(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
    ):
        if path.suffix.lower() == ".csv":
            yield from _read_csv(text)
            return
        for number, line in enumerate(text, 1):
            if line.strip():
                try:
                    row = json.loads(line, object_pairs_hook=_object)
                except (ValueError, RecursionError) as error:
                    raise ValueError(f"line {number} is not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is not a JSON object")
                yield Row(number, _flat(cast("dict[str, Any]", row), number))


def _read_csv(text: io.TextIOWrapper) -> Iterator[Row]:
    header = text.readline()
    delimiter = max(",;\t", key=header.count)
    text.seek(0)
    reader = csv.reader(text, delimiter=delimiter)
    names: list[str] = []
    for header_cells in islice(reader, 1):
        names = [name.strip() for name in header_cells]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise ValueError(f"has two columns {', '.join(twice)}")
    for cells in reader:
        if any(cells):
            if len(cells) > len(names):
                raise ValueError(
                    f"line {reader.line_num} has {len(cells)} values, and the header "
                    f"{format_count(len(names), 'name')}"
                )
            yield Row(reader.line_num, dict(zip(names, cells, strict=False)))


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is there twice")
    return dict(pairs)


def _flat(row: Mapping[str, Any], number: int, prefix: str = "") -> dict[str, Any]:
    """Return a row with the maps in it as columns ``a.b``."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        column = f"{prefix}{name}"
        if isinstance(value, dict):
            parts = _flat(cast("dict[str, Any]", value), number, f"{column}.")
        else:
            parts = {column: float(value) if isinstance(value, Decimal) else value}
        if twice := cells.keys() & parts.keys():
            raise ValueError(f"row {number} has {', '.join(sorted(twice))} twice")
        cells |= parts
    return cells
