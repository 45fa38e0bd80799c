"""Runs of Ray Tune: the folder of an experiment, with a folder for each trial.

Follows ray 2.60 (python/ray/tune/execution/tune_controller.py, experiment/trial.py, result.py and
logger/json.py) as installed on 2026-11-27. Pickles in the folder are never loaded, so the search
space, the goal and the algorithm are unknown: only the metric is in the experiment's state.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from typing_extensions import override

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.formats.tool_runs.files import RunFolder, UnreadableFileError, json_items
from cloudtune.formats.tool_runs.objective import StoredObjective, choose_objectives
from cloudtune.formats.tool_runs.places import find_run_folder
from cloudtune.formats.tool_runs.rebuilt import TrialSource, rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace
from cloudtune.formats.tool_runs.tables import read_cell, read_rows
from cloudtune.formats.tool_runs.values import Period, to_metric, to_metrics, to_step, to_time
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.quantities import format_count
from cloudtune.study.yaml_reader import is_list, is_map

_STATE_FILES = "experiment_state-*.json"
_OWN_METRICS = frozenset(
    [
        *("training_iteration", "time_total_s", "time_this_iter_s", "timestamp", "pid"),
        *("time_since_restore", "iterations_since_restore", "timesteps_since_restore"),
        *("timesteps_total", "episodes_total", "checkpoint_dir_name"),
    ]
)
"""What Ray adds to each result."""
_ENDS: Mapping[str, TrialState] = {"TERMINATED": "completed", "ERROR": "failed"}
"""The states of trials that ended; others were interrupted, or never started."""


class RayReader(RunReader):
    """Experiments of Ray Tune."""

    name = "ray"
    title = "the folder of a Ray Tune experiment"
    source = "ray 2.60, python/ray/tune, 2026-11-27"

    @override
    def matches(self, path: Path) -> bool:
        return path.is_dir() and (
            _is_experiment(path) or any(_is_experiment(each) for each in _folders(path))
        )

    @override
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        folder = RunFolder(find_run_folder(location, choice.name, _is_experiment, f"{self.title}"))
        return _Experiment(folder).finished_run(choice)


def _folders(path: Path) -> list[Path]:
    with suppress(OSError):
        return [each for each in path.iterdir() if each.is_dir()]
    return []


def _is_experiment(path: Path) -> bool:
    """Return whether a folder has the state of an experiment, or folders of trials."""
    if any(path.glob(_STATE_FILES)):
        return True
    return any(
        (each / "params.json").is_file() and (each / "result.json").is_file()
        for each in _folders(path)
    )


@dataclass
class _Record:
    """A trial as the experiment's state, or its folder, has it."""

    id: str
    folder: str
    config: Mapping[str, Any]
    status: str
    started: float | None
    last_result: Mapping[str, Any]


class _Experiment:
    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._state: Path | None = None
        self._findings: list[Finding | Note] = []
        self._numbers: dict[str, int] = {}
        for path in sorted(folder.path.glob(_STATE_FILES), reverse=True):
            try:
                for _ in self._state_items(path):  # it may be cut off anywhere
                    pass
                self._state = path
                break
            except UnreadableFileError as error:
                self._findings.append(Finding("dropped", path.name, str(error)))

    def finished_run(self, choice: RunChoice) -> FinishedRun:
        space, metrics = ObservedSpace("Ray Tune"), dict[str, None]()
        waiting = 0
        period = Period()
        ids: list[str] = []
        for record in self._records():
            if record.status == "PENDING":
                waiting += 1
                continue
            ids.append(record.id)
            space.add(record.config)
            last = record.last_result or self._first_result(record, known=bool(metrics))
            metrics |= dict.fromkeys(_metrics(last))
            period.add(record.started, to_time(last.get("timestamp")))
        if not ids:
            raise UsageError(f"{self._folder.path} has no trial that was started")
        self._numbers = {id_: number for number, id_ in enumerate(sorted(ids), start=1)}
        if waiting:
            text = f"{format_count(waiting, 'trial')} that never started left out"
            self._findings.append(Note("trials", text))
        derived = space.derive()
        stored = [StoredObjective(metric=self._stored_metric())]
        objectives = choose_objectives(choice, stored, metrics, "Ray Tune")
        name = self._folder.path.name
        return FinishedRun(
            study=rebuild_study(name, objectives, derived, f"Ray Tune experiment {name}"),
            trials=TrialSource(partial(self.trials, derived)),
            job=name,
            address=f"ray:{self._folder.path.resolve()}",
            findings=(*self._findings, *derived.findings),
            started=period.start,
            ended=period.end,
        )

    def trials(self, space: DerivedSpace) -> Iterator[Trial]:
        for record in self._records():
            if number := self._numbers.get(record.id):
                yield self._trial(number, record, space)

    def _records(self) -> Iterator[_Record]:
        if self._state is None:
            yield from self._records_of_folders()
            return
        for item in self._state_items(self._state):
            if record := _parse_record(item):
                yield record

    def _state_items(self, path: Path) -> Iterator[Any]:
        text = self._folder.read(path.name)
        # Before Ray 2.4, the list was called checkpoints.
        key = "trial_data" if '"trial_data"' in text else "checkpoints"
        yield from json_items(text, key, path.name)

    def _stored_metric(self) -> str | None:
        if self._state is None:
            return None
        with suppress(UnreadableFileError, ValueError, RecursionError):
            text = self._folder.read(self._state.name)
            start = text.rindex('"runner_data"') + len('"runner_data"')
            data, _ = json.JSONDecoder().raw_decode(text, text.index("{", start))
            metric = data.get("_metric")
            return metric if isinstance(metric, str) else None
        return None

    def _records_of_folders(self) -> Iterator[_Record]:
        for path in self._folder.folders():
            try:
                config = self._folder.json_map(path.name, "params.json")
            except UnreadableFileError:
                continue
            last: dict[str, Any] = {}
            for each in self._results(path.name):
                last = each
            is_failed = (path / "error.txt").is_file()
            status = "ERROR" if is_failed else ("TERMINATED" if last else "RUNNING")
            yield _Record(path.name, path.name, config, status, None, last)

    def _first_result(self, record: _Record, *, known: bool) -> Mapping[str, Any]:
        """Return a result of a trial whose last one is not in the state, unless it is needless."""
        empty: dict[str, Any] = {}
        return empty if known else next(self._results(record.folder), empty)

    def _results(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield the results of a trial; those of a torn or invalid line are missing."""
        if not folder:
            return
        try:
            yield from filter(None, self._folder.json_lines(folder, "result.json"))
        except UnreadableFileError:
            with suppress(UnreadableFileError):
                yield from self._csv_results(folder)

    def _csv_results(self, folder: str) -> Iterator[dict[str, Any]]:
        with self._folder.open(folder, "progress.csv") as file:
            text = TextIOWrapper(file, "utf-8", errors="replace", newline="")
            with suppress(csv.Error):
                for row in filter(None, read_rows(text)):
                    values = {key: read_cell(cell) for key, cell in row.items()}
                    yield {
                        key.replace("/", "."): value
                        for key, value in values.items()
                        if to_metric(value) is not None
                    }

    def _trial(self, number: int, record: _Record, space: DerivedSpace) -> Trial:
        measurements: list[Measurement] = []
        first: Mapping[str, Any] = {}
        last: Mapping[str, Any] = {}
        for result in self._results(record.folder):
            first, last = first or result, result
            if (measured := _measurement(result, len(measurements) + 1)) is not None:
                measurements.append(measured)
        if not measurements and (measured := _measurement(record.last_result, 1)) is not None:
            measurements, first, last = [measured], record.last_result, record.last_result
        started = record.started or _start_time(first)
        ended = to_time(last.get("timestamp"))
        state = _ENDS.get(record.status, "cancelled")
        error = self._folder.tail(record.folder, "error.txt") if state == "failed" else ""
        reason = error.strip().rpartition("\n")[2]
        if state == "cancelled":
            reason = f"{record.status.lower()} when the experiment was last saved"
        machine = last.get("hostname")
        return Trial(
            id=record.id,
            number=number,
            state=state,
            parameters=space.assignment(record.config),
            measurements=tuple(measurements),
            word=record.status,
            started=started,
            ended=max(ended, started) if ended and started else ended,
            seconds=_seconds(last),
            machine=machine if isinstance(machine, str) else None,
            reason=reason or ("it failed" if state == "failed" else ""),
            log_tail=error,
            log=str(self._folder.path / record.folder / "error.txt") if error else None,
        )


def _parse_record(item: Any) -> _Record | None:
    """Return the record of an item of the state: JSON texts of the trial and of its results."""
    parts: list[Any] = []
    for text in item if is_list(item) else [item]:
        with suppress(ValueError, RecursionError):
            parts.append(json.loads(text) if isinstance(text, str) else text)
    data: dict[str, Any] = {}
    for part in parts:
        if is_map(part):
            data |= part
    id_, config = data.get("trial_id"), data.get("config")
    if not isinstance(id_, str) or not is_map(config):
        return None
    folder = data.get("relative_logdir") or Path(str(data.get("logdir") or "")).name
    last = data.get("last_result")
    return _Record(
        id_,
        folder if isinstance(folder, str) else "",
        _without_pickles(config),
        str(data.get("status")),
        to_time(data.get("start_time")),
        last if is_map(last) else {},
    )


def _without_pickles(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the objects that Ray writes as pickles."""
    return {
        key: _without_pickles(value) if is_map(value) else value
        for key, value in config.items()
        if not (is_map(value) and value.get("_type") == "CLOUDPICKLE_FALLBACK")
    }


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    rest = {key: value for key, value in result.items() if key not in {"config", "trial_id"}}
    return {key: each for key, each in to_metrics(rest).items() if key not in _OWN_METRICS}


def _measurement(result: Mapping[str, Any], index: int) -> Measurement | None:
    metrics = _metrics(result)
    if not metrics:
        return None
    step = to_step(result.get("training_iteration"))
    return Measurement(index if step is None else step, metrics, to_time(result.get("timestamp")))


def _start_time(first: Mapping[str, Any]) -> float | None:
    time, seconds = to_time(first.get("timestamp")), _seconds(first)
    return None if time is None or seconds is None else to_time(time - seconds)


def _seconds(result: Mapping[str, Any]) -> float | None:
    seconds = to_metric(result.get("time_total_s"))
    return seconds if seconds is not None and 0 <= seconds < math.inf else None
