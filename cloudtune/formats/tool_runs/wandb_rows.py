"""Runs in an export of Weights & Biases: rows of a CSV file, or objects of a JSON file.

W&B has no fixed export. These forms are read: the CSV of the table of runs in its app, whose
columns mix parameters and metrics; the CSV or JSON of the script in its documentation
(https://docs.wandb.ai/models/track/public-api-guide, read 2026-11-27), which has the columns
``summary``, ``config`` and ``name``; a table with ``config.`` and ``summary.`` before each name;
lists of runs with the attributes of `wandb.apis.public.Run`; and responses of the GraphQL API
(wandb 0.31, wandb/apis/public/runs.py, RunFragment).
"""

from __future__ import annotations

import ast
import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.formats.tool_runs.files import (
    UnreadableFileError,
    json_items,
    parse_map,
    read_file,
)
from cloudtune.formats.tool_runs.tables import read_cell, read_rows
from cloudtune.formats.tool_runs.values import flatten
from cloudtune.study.yaml_reader import is_list, is_map

MAX_DOCUMENT = 128 * 1024**2
"""The largest JSON object that is not a plain list of runs, in bytes."""
_MAX_LITERAL = 1024**2
_COLUMNS = frozenset(
    [
        *("name", "state", "notes", "user", "tags", "created", "updated", "runtime", "sweep"),
        *("id", "group", "job type", "hostname", "github", "gpu count", "gpu type", "end time"),
        *("commit", "agent", "description", "start time", "queue name", "", "unnamed: 0"),
    ]
)
"""The columns of W&B's table of runs that are neither parameters nor metrics, in lower case."""
_BARE = re.compile(r"(?<=[:\[,(] )(nan|-?inf)(?=[,}\])])")
"""A number in a Python literal that has no literal."""
_NUMBERS = {
    **dict.fromkeys(("NaN", "nan"), math.nan),
    **dict.fromkeys(("Infinity", "inf"), math.inf),
    **dict.fromkeys(("-Infinity", "-inf"), -math.inf),
}


@dataclass
class Row:
    """A run of an export."""

    id: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    state: str = ""
    sweep: str = ""
    created: Any = None
    ended: Any = None
    runtime: Any = None
    host: str = ""
    history: Sequence[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])


@dataclass(frozen=True)
class Export:
    """The runs in a file, which are read anew each time, and the sweep that it has."""

    rows: Callable[[], Iterator[Row]]
    sweep: Mapping[str, Any] | None = None
    """The configuration of the sweep, if it is in the file."""


def open_export(path: Path, parameters: Sequence[str]) -> Export:
    """Return the runs in a file.

    Raises:
        UsageError: If the file has another form, or does not say which columns are parameters.
        UnreadableFileError: If it cannot be read.
    """
    text = read_file(path).lstrip()
    if text[:1] == "[":
        return Export(lambda: _parse_rows(json_items(f'{{"runs":{text}}}', "runs", path.name)))
    if text[:1] != "{":
        layout = _Layout(text, parameters, path)
        return Export(layout.rows)
    lines = text.splitlines()
    if len(lines) > 1 and is_map(_parse_line(lines[0])):
        return Export(lambda: _parse_rows(map(_parse_line, lines)))
    if len(text) > MAX_DOCUMENT:
        raise UnreadableFileError(f"{path.name} is too large for one JSON object; export a list")
    data = parse_map(text, path.name)
    runs = _find_runs(data)
    if runs is None:
        raise UsageError(f"{path} has no list of runs with config and summary")
    return Export(lambda: _parse_rows(iter(runs)), _find_sweep(data))


def _parse_line(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None  # such as a torn last line


def _find_runs(data: Mapping[str, Any]) -> list[Any] | None:
    """Return the list of runs in a document: GraphQL's edges, a table by columns, or a list."""
    if is_map(columns := data.get("config")) and is_map(data.get("summary")):
        keys = list(columns)
        return [
            {name: cells.get(key) for name, cells in data.items() if is_map(cells)} for key in keys
        ]
    pending: list[tuple[Any, int]] = [(data, 0)]
    while pending:
        value, depth = pending.pop(0)
        if is_list(value) and value and all(is_map(each) for each in value):
            nodes = [each.get("node", each) for each in value]
            if all(is_map(each) and "config" in each for each in nodes):
                return nodes
        elif is_map(value) and depth < 6:
            pending += [(each, depth + 1) for each in value.values()]
    return None


def _find_sweep(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the configuration of a sweep in a document."""
    for value in (data, data.get("config"), data.get("sweep")):
        config = value.get("config", value) if is_map(value) else None
        if is_map(config) and is_map(config.get("parameters")) and "method" in config:
            return {key: each for key, each in config.items() if key != "runs"}
    return None


def _parse_rows(items: Iterator[Any]) -> Iterator[Row]:
    for number, item in enumerate(items, start=1):
        if is_map(item) and is_map(config := _unpack(item.get("config"))):
            yield _row(item, config, number)


def _row(item: Mapping[str, Any], config: Mapping[str, Any], number: int) -> Row:
    def first(*keys: str) -> Any:
        return next((item[key] for key in keys if item.get(key) not in (None, "")), None)

    summary, history = _unpack(first("summary", "summaryMetrics")), item.get("history")
    sweep = first("sweepName", "sweep", "sweep_name", "Sweep")
    sweep = (sweep.get("id") or sweep.get("name")) if is_map(sweep) else sweep
    rows = history if is_list(history) else []
    host = item.get("host")
    return Row(
        str(first("id", "run_id", "name", "displayName", "Name") or number),
        {key: _unwrap(value) for key, value in config.items() if not key.startswith("_")},
        summary if is_map(summary) else {},
        str(first("state", "State") or "").lower(),
        str(sweep or ""),
        first("created_at", "createdAt", "Created", "created"),
        first("heartbeatAt", "heartbeat_at", "ended", "End Time"),
        first("runtime", "Runtime"),
        host if isinstance(host, str) else "",
        [each for each in rows if is_map(each)],
    )


def _unpack(value: Any) -> Any:
    """Return the map that a value is, or that its text is in JSON or as a Python literal."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if len(text) > _MAX_LITERAL or not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(_BARE.sub(r"'\1'", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _unwrap(value: Any) -> Any:
    """Return a value of a config, which W&B's API wraps in a map with a description."""
    if is_map(value) and "value" in value and value.keys() <= {"value", "desc"}:
        return value["value"]
    return value


class _Layout:
    """The columns of a CSV file."""

    def __init__(self, text: str, parameters: Sequence[str], path: Path) -> None:
        self._text = text
        header = next(csv.reader(StringIO(text)), list[str]())
        self._names = header
        self._packed = {"config", "summary"} <= {*header}
        self._config = {
            name: name.removeprefix("config.") for name in header if name.startswith("config.")
        }
        self._summary = {
            name: name.removeprefix("summary.") for name in header if name.startswith("summary.")
        }
        if not self._packed and not self._config:
            self._choose(parameters, path)
        self._texts = {name for name, cells in self._cells().items() if _are_texts(cells)}

    def _choose(self, parameters: Sequence[str], path: Path) -> None:
        columns = [name for name in self._names if name.lower() not in _COLUMNS]
        if not columns or not any(name.lower() in {"name", "state", "id"} for name in self._names):
            raise UsageError(f"{path} is not an export of W&B runs: it has no column Name")
        if unknown := [name for name in parameters if name not in self._names]:
            raise UsageError(f"{path} has no column {unknown[0]}. Columns: {', '.join(columns)}")
        if not parameters:
            raise UsageError(
                f"{path} does not say which columns are parameters and which are metrics: name the "
                f"parameters with --parameters A,B. Columns: {', '.join(columns)}"
            )
        self._config = {name: name for name in parameters}
        self._summary = {name: name for name in columns if name not in self._config}

    def rows(self) -> Iterator[Row]:
        for number, cells in enumerate(self._rows(), start=1):
            row: dict[str, Any] = {key: each for key, each in cells.items() if each != ""}
            if not self._packed:
                config = self._pick(row, self._config)
                if not config:
                    continue
                row |= {"config": config, "summary": self._pick(row, self._summary)}
            lower = {key.lower(): each for key, each in row.items()}
            if is_map(config := _unpack(row.get("config"))):
                yield _row(lower | row, config, number)

    def _pick(self, row: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
        return {
            short: row[name] if name in self._texts else read_cell(row[name])
            for name, short in names.items()
            if name in row
        }

    def _cells(self) -> dict[str, set[str]]:
        """Return the different cells of each parameter that has a column of its own."""
        cells: dict[str, set[str]] = {name: set() for name in self._config}
        for row in self._rows() if cells else ():
            for name, distinct in cells.items():
                distinct.add(row[name])
        return cells

    def _rows(self) -> Iterator[dict[str, str]]:
        try:
            yield from filter(None, read_rows(StringIO(self._text)))
        except csv.Error as error:
            raise UnreadableFileError(f"the table cannot be read: {error}") from error


def _are_texts(cells: Set[str]) -> bool:
    """Return whether the cells of a parameter are texts, some of which look like other values.

    No number has a leading zero, and no boolean is among other values.
    """
    values = [read_cell(cell) for cell in cells]
    booleans = sum(isinstance(value, bool) for value in values)
    is_mixed = 0 < booleans < sum(value is not None for value in values)
    return is_mixed or any(
        isinstance(value, int | float) and re.match(r"[+-]?0\d", cell)
        for cell, value in zip(cells, values, strict=True)
    )


def numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a summary or of a row of a history, by name.

    W&B's own values and its files and histograms are left out. Numbers that are not finite are
    text in W&B.
    """
    own = {
        key: each
        for key, each in summary.items()
        if not key.startswith("_") and not (is_map(each) and "_type" in each)
    }
    return {
        name: _NUMBERS.get(value, value) if isinstance(value, str) else value
        for name, value in flatten(own)
    }
