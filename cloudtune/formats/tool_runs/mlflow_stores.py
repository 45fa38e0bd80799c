"""Where MLflow keeps runs: a folder, an SQLite file, or a tracking server.

Folders and SQLite files are read without MLflow, which would load what they name, and takes minutes
for the histories of 10,000 runs. Follows mlflow 3.17 (mlflow/store/tracking/file_store.py and
dbmodels/models.py; the tables have not changed since 1.11), read 2026-11-27.
"""

from __future__ import annotations

import math
import os
import sqlite3
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from typing_extensions import override

from cloudtune.errors import UsageError, import_extra
from cloudtune.formats.secrets import hide_credentials
from cloudtune.formats.sqlite import ERRORS, Database, table_names
from cloudtune.formats.tool_runs.files import RunFolder, UnreadableFileError, is_folder
from cloudtune.formats.tool_runs.tables import read_cell
from cloudtune.formats.tool_runs.values import to_metric

PARENT = "mlflow.parentRunId"
_PAGE = 500
_SMALL = 65_536
"""The largest file of a parameter or a tag, in bytes."""
_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_TABLES = frozenset(["experiments", "runs", "tags", "params", "metrics", "latest_metrics"])

Point = tuple[str, float, float, int]
"""The name of a metric, its value, the time in milliseconds and the step."""


@dataclass
class Head:
    """The data that assigns a run to a group."""

    id: str
    name: str
    experiment: str
    """The name of its experiment."""
    parent: str = ""
    started: Any = None


@dataclass
class MlflowRun:
    """A run with all that it logged."""

    id: str
    name: str
    status: str
    started: Any
    ended: Any
    params: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    points: list[Point] = field(default_factory=list[Point])


class Store(ABC):
    """Runs of MLflow that were not deleted."""

    address: str
    """Where they are, without a password."""

    @abstractmethod
    def heads(self) -> Iterator[Head]:
        """Yield each run."""

    @abstractmethod
    def runs(self, ids: Sequence[str], *, with_points: bool) -> Iterator[MlflowRun]:
        """Yield runs with their data, in any order; without points, the last of each metric."""


def open_store(location: str) -> Store:
    """Return the store at a path or an address.

    Raises:
        UsageError: If it has no runs of MLflow.
        MissingExtraError: If it is a server and MLflow is not installed.
    """
    path = Path(location.removeprefix("sqlite:///").removeprefix("file://")).expanduser()
    if path.is_dir():
        return FolderStore(path)
    if path.is_file():
        return SqliteStore(path)
    if "://" not in location or location.startswith(("sqlite:", "file:")):
        raise UsageError(f"{path}: no such file or folder")
    return ClientStore(location)


def is_mlflow_folder(path: Path) -> bool:
    """Return whether a folder is a store, or an experiment in one."""
    if not path.is_dir():
        return False
    with suppress(OSError):
        return any((each / "meta.yaml").is_file() for each in islice(path.iterdir(), 1_000))
    return False


def is_mlflow_database(path: Path) -> bool:
    """Return whether a file is an SQLite database with the tables of MLflow."""
    return table_names(path) >= _TABLES


class FolderStore(Store):
    """A folder such as ``mlruns``, with one for each experiment, with one for each run."""

    def __init__(self, path: Path) -> None:
        self._folder = RunFolder(path)
        self.address = str(path.resolve())

    @override
    def heads(self) -> Iterator[Head]:
        for experiment, path in self._run_folders():
            meta = self._meta(path)
            if meta.get("lifecycle_stage", "active") == "active":
                name = meta.get("run_name") or self._small(path, "tags", "mlflow.runName")
                parent = self._small(path, "tags", PARENT)
                yield Head(
                    path.name, name, experiment, parent, read_cell(meta.get("start_time", ""))
                )

    @override
    def runs(self, ids: Sequence[str], *, with_points: bool) -> Iterator[MlflowRun]:
        paths = {path.name: path for _, path in self._run_folders()}
        for id_ in ids:
            if id_ in paths:
                yield self._run(paths[id_], with_points=with_points)

    def _run_folders(self) -> Iterator[tuple[str, Path]]:
        """Yield the folder of each run, with the name of its experiment."""
        top = [each for each in self._folder.folders() if (each / "meta.yaml").is_file()]
        if any((each / "params").is_dir() or (each / "tags").is_dir() for each in top):
            yield from ((self._folder.path.name, each) for each in top)  # one experiment
            return
        for experiment in top:
            meta = self._meta(experiment)
            if meta.get("lifecycle_stage", "active") == "active":
                for path in RunFolder(experiment).folders():
                    if (path / "meta.yaml").is_file():
                        yield meta.get("name") or experiment.name, path

    def _meta(self, path: Path) -> dict[str, str]:
        """Return the lines of a ``meta.yaml``, which is a flat map. A YAML parser takes long."""
        with suppress(UnreadableFileError):
            text = self._folder.read(*self._names(path), "meta.yaml", limit=_SMALL)
            pairs = (line.partition(":") for line in text.splitlines())
            return {key: value.strip().strip("'\"") for key, _, value in pairs}
        return {}

    def _names(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self._folder.path).parts

    def _small(self, path: Path, *names: str) -> str:
        with suppress(UnreadableFileError):
            return self._folder.read(*self._names(path), *names, limit=_SMALL).rstrip("\n")
        return ""

    def _run(self, path: Path, *, with_points: bool) -> MlflowRun:
        meta = self._meta(path)
        run = MlflowRun(
            path.name,
            meta.get("run_name", ""),
            _STATUSES.get(meta.get("status", ""), meta.get("status", "")),
            read_cell(meta.get("start_time", "")),
            read_cell(meta.get("end_time", "")),
            {name: self._small(file) for name, file in _files(path / "params")},
            {name: self._small(file) for name, file in _files(path / "tags")},
        )
        for name, file in _files(path / "metrics"):
            lines = self._lines(file, last_only=not with_points)
            run.points += [
                point for line in lines if (point := _parse_point(name, line)) is not None
            ]
        return run

    def _lines(self, file: Path, *, last_only: bool) -> list[str]:
        names = self._names(file)
        if last_only:
            return self._folder.tail(*names, count=512).splitlines()[-1:]
        with suppress(UnreadableFileError):
            return self._folder.read(*names).splitlines()
        return []


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their names, which can have slashes."""
    if not is_folder(folder):
        return
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(parent) / file
            yield path.relative_to(folder).as_posix(), path


def _parse_point(name: str, line: str) -> Point | None:
    """Return a line of a metric: time, value and, since MLflow 1.0, step."""
    words = line.split(" ")
    numbers = [to_metric(read_cell(word)) for word in words[:3]]
    if len(words) < 2 or None in numbers:
        return None
    time, value, *step = (number for number in numbers if number is not None)
    whole = int(step[0]) if step and abs(step[0]) < 2**63 else 0
    return name, value, time, whole


class SqliteStore(Store):
    """The database of a tracking server, or of ``mlflow.db``, in a file."""

    def __init__(self, path: Path) -> None:
        if not is_mlflow_database(path):
            raise UsageError(f"{path} is not an SQLite database of MLflow")
        self._path = path
        self.address = str(path.resolve())

    @override
    def heads(self) -> Iterator[Head]:
        query = (
            "SELECT r.run_uuid, r.name, e.name, t.value, r.start_time FROM runs r "
            "JOIN experiments e ON e.experiment_id = r.experiment_id "
            "LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = ? "
            "WHERE r.lifecycle_stage = 'active' ORDER BY r.run_uuid"
        )
        with self._read() as db:
            for id_, name, experiment, parent, start in db.execute(query, (PARENT,)):
                yield Head(str(id_), str(name or ""), str(experiment), str(parent or ""), start)

    @override
    def runs(self, ids: Sequence[str], *, with_points: bool) -> Iterator[MlflowRun]:
        left = iter(ids)
        with self._read() as db:
            while page := list(islice(left, _PAGE)):
                yield from self._page(db, page, with_points=with_points)

    def _page(
        self, db: sqlite3.Connection, page: Sequence[str], *, with_points: bool
    ) -> Iterator[MlflowRun]:
        marks = ",".join("?" * len(page))

        def select(columns: str, table: str) -> sqlite3.Cursor:
            query = f"SELECT run_uuid, {columns} FROM {table} WHERE run_uuid IN ({marks})"  # noqa: S608
            return db.execute(query, page)

        found: dict[str, MlflowRun] = {}
        for id_, name, status, start, end in select("name, status, start_time, end_time", "runs"):
            found[id_] = MlflowRun(id_, str(name or ""), str(status), start, end)
        for id_, key, value in select("key, value", "params"):
            found[id_].params[str(key)] = str(value)
        for id_, key, value in select("key, value", "tags"):
            found[id_].tags[str(key)] = str(value)
        table = "metrics" if with_points else "latest_metrics"
        for id_, key, value, time, step, is_nan in select(
            "key, value, timestamp, step, is_nan", table
        ):
            number = float("nan") if is_nan else _unbounded(float(value))
            found[id_].points.append((str(key), number, float(time), int(step)))
        yield from (found[id_] for id_ in page if id_ in found)

    def _read(self) -> _Reading:
        return _Reading(self._path)


def _unbounded(number: float) -> float:
    """Return an infinite number that a database of MLflow has as the largest finite one."""
    return math.copysign(math.inf, number) if abs(number) == sys.float_info.max else number


class _Reading:
    """A connection to a file that is only read, whose errors are the user's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database(path)

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = self._database.connect()
        except ERRORS as error:
            raise self._error(error) from error
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._connection.close()
        if isinstance(error, (*ERRORS, TypeError, KeyError)):
            raise self._error(error) from error

    def _error(self, error: BaseException) -> UsageError:
        return UsageError(f"{self._path} cannot be read: {self._database.reason(error)}")


class ClientStore(Store):
    """A tracking server, or another address that MLflow reads."""

    def __init__(self, uri: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = import_extra("mlflow", "reading an MLflow server", "mlflow")
        self._error: Any = import_extra("mlflow.exceptions", "an MLflow server", "mlflow")
        self._client: Any = mlflow.MlflowClient(tracking_uri=uri)
        self.address = hide_credentials(uri or str(mlflow.get_tracking_uri()))
        self._experiments: dict[str, str] = {}
        """The experiment of each run."""

    @override
    def heads(self) -> Iterator[Head]:
        for experiment in self._pages("search_experiments"):
            for run in self._pages("search_runs", [experiment.experiment_id]):
                self._experiments[run.info.run_id] = experiment.experiment_id
                parent = run.data.tags.get(PARENT, "")
                name, start = run.info.run_name or "", run.info.start_time
                yield Head(run.info.run_id, name, experiment.name, parent, start)

    @override
    def runs(self, ids: Sequence[str], *, with_points: bool) -> Iterator[MlflowRun]:
        wanted = {*ids}
        experiments = dict.fromkeys(self._experiments[id_] for id_ in ids)
        for run in self._pages("search_runs", list(experiments)):
            if run.info.run_id in wanted:
                yield self._run(run, with_points=with_points)

    def _run(self, run: Any, *, with_points: bool) -> MlflowRun:
        info, data = run.info, run.data
        found = MlflowRun(
            info.run_id,
            info.run_name or "",
            info.status,
            info.start_time,
            info.end_time,
            dict(data.params),
            dict(data.tags),
        )
        for name, value in data.metrics.items():
            if with_points:  # one request for each metric: the API has no other way
                history = self._call("get_metric_history", info.run_id, name)
                found.points += [(name, _unbounded(m.value), m.timestamp, m.step) for m in history]
            else:
                found.points.append((name, _unbounded(value), 0.0, 0))
        return found

    def _pages(self, method: str, *args: Any) -> Iterator[Any]:
        token = None
        while True:
            page = self._call(method, *args, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, method)(*args, **options)
        except self._error.MlflowException as error:
            raise UsageError(f"MLflow at {self.address} cannot be read: {error}") from error


def group_points(points: Sequence[Point]) -> Iterator[tuple[int, Mapping[str, float], float]]:
    """Yield the steps of a run with their metrics and times.

    Scripts that log without a step have all values at step 0: these get steps in order. Of the
    values of a metric at the same step and time, the largest is the last one, as MLflow shows it.
    """
    values: dict[tuple[str, float, int], list[float]] = {}
    for name, value, at, step in points:
        values.setdefault((name, at, step), []).append(value)
    for same in values.values():
        same.sort(key=lambda value: 0.0 if math.isnan(value) else value, reverse=True)
    ordered = sorted(points, key=lambda point: (point[3], point[2]))
    index = 0
    for step, group in groupby(ordered, key=lambda point: point[3]):
        metrics: dict[str, float] = {}
        time = 0.0
        rows: list[tuple[dict[str, float], float]] = []
        for name, _, at, _ in group:
            if name in metrics:
                rows.append((metrics, time))
                metrics = {}
            metrics[name], time = values[name, at, step].pop(), at
        for row, at in [*rows, (metrics, time)]:
            index += 1
            yield (index if step == 0 and rows else max(step, 0)), row, at
