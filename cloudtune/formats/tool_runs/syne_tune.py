"""Runs of Syne Tune: the folder of an experiment.

Follows syne-tune 0.16 (syne_tune/tuner.py, tuner_callback.py, constants.py, config_space.py and
backend/local_backend.py) as installed on 2026-11-27. ``tuner.dill`` is a pickle and never loaded.
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from typing_extensions import override

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.fields import Fields, Report
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.formats.syne_tune.domains import read_domain
from cloudtune.formats.tool_runs.files import (
    MAX_BYTES,
    RunFolder,
    UnreadableFileError,
    parse_map,
)
from cloudtune.formats.tool_runs.objective import StoredObjective, choose_objectives, to_goal
from cloudtune.formats.tool_runs.places import find_run_folder
from cloudtune.formats.tool_runs.rebuilt import TrialSource, rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace, read_definition
from cloudtune.formats.tool_runs.tables import read_cell, read_rows
from cloudtune.formats.tool_runs.values import Period, is_name, to_metric, to_step, to_time
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.quantities import format_bytes, format_count
from cloudtune.study.yaml_reader import is_list, is_map

_METADATA, _RESULTS = "metadata.json", "results.csv.zip"
_MAX_ROWS = 5_000_000
_STEP_KEYS = ("time_attr", "resource_attr")
_OWN = "st_"
"""The start of the columns that Syne Tune adds."""
_CONFIG = "config_"
_STATES: Mapping[str, TrialState] = {
    "Completed": "completed",
    "Stopped": "stopped_early",
    "Stopping": "stopped_early",
    "Paused": "stopped_early",
    "Failed": "failed",
}


class SyneTuneReader(RunReader):
    """Experiments of Syne Tune."""

    name = "syne-tune"
    title = "the folder of a Syne Tune experiment"
    source = "syne-tune 0.16, syne_tune/tuner.py, 2026-11-27"

    @override
    def matches(self, path: Path) -> bool:
        if not path.is_dir():
            return False
        with suppress(OSError):
            return _is_experiment(path) or any(map(_is_experiment, path.iterdir()))
        return False

    @override
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        path = find_run_folder(location, choice.name, _is_experiment, self.title)
        try:
            return _Experiment(RunFolder(path)).finished_run(choice)
        except UnreadableFileError as error:
            raise UsageError(f"{path}: {error}") from error


def _is_experiment(path: Path) -> bool:
    return (path / _METADATA).is_file() and (path / _RESULTS).is_file()


class _Experiment:
    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._metadata = folder.json_map(_METADATA)
        stored = self._metadata.get("scheduler_kwargs")
        options = {**self._metadata, **(stored if is_map(stored) else {})}
        step_names = (options.get(key) for key in _STEP_KEYS)
        self._step_name = next((name for name in step_names if isinstance(name, str)), None)
        self._last_step = to_step(options.get("max_t"))
        self._skipped = 0
        self._counts = Counter[str]()
        """The rows of each trial."""

    def finished_run(self, choice: RunChoice) -> FinishedRun:
        declared, findings = self._declared()
        space = ObservedSpace("the experiment", declared)
        metrics: dict[str, None] = {}
        period = Period()
        for row in self._rows():
            id_, time = row["trial_id"], _time(row)
            if id_ not in self._counts:
                space.add(_config(row, declared))
            self._counts[id_] += 1
            metrics |= dict.fromkeys(_metrics(row, self._step_name))
            period.add(time)
        for _, config in self._silent_trials():
            space.add(config)
        if not self._counts:
            raise UsageError(f"{self._folder.path} has no trial with a result")
        if self._skipped:
            text = f"{format_count(self._skipped, 'row')} of {_RESULTS} without a trial left out"
            findings.append(Finding("dropped", "trials", text))
        derived = space.derive()
        objectives = choose_objectives(choice, self._objectives(), metrics, "Syne Tune")
        if len(objectives) == 1:  # as best_config() of Syne Tune does
            objectives = [{**objectives[0], "select": "best"}]
        name = self._folder.path.name
        start = to_time(self._metadata.get("st_tuner_start_timestamp")) or to_time(
            self._metadata.get("st_tuner_creation_timestamp")
        )
        scheduler = self._metadata.get("scheduler_name")
        description = f"Syne Tune experiment{f' with {scheduler}' if scheduler else ''}"
        return FinishedRun(
            study=rebuild_study(name, objectives, derived, description[:200]),
            trials=TrialSource(partial(self.trials, derived)),
            job=name,
            address=f"syne-tune:{self._folder.path.resolve()}",
            findings=(*findings, *derived.findings),
            started=start or period.start,
            ended=period.end,
        )

    def trials(self, space: DerivedSpace) -> Iterator[Trial]:
        running: dict[str, _Running] = {}
        for row in self._rows():
            id_ = row["trial_id"]
            trial = running.setdefault(id_, _Running(row))
            trial.add(row, self._step_name)
            if trial.rows == self._counts[id_]:
                yield running.pop(id_).trial(space, self._last_step)
        for id_, config in self._silent_trials():
            yield self._silent_trial(id_, config, space)

    def _declared(self) -> tuple[dict[str, dict[str, Any]], list[Finding | Note]]:
        """Return the definitions of the parameters in the metadata, and findings."""
        findings: list[Finding | Note] = []
        stored = self._metadata.get("config_space")
        if isinstance(stored, str):
            with suppress(UnreadableFileError):
                stored = parse_map(stored, "config_space")
        declared: dict[str, dict[str, Any]] = {}
        for name, domain in stored.items() if is_map(stored) else ():
            if not is_map(domain) or not is_name(name):
                continue  # a constant
            fields = Fields(domain, Report(), f"config_space.{name}")
            definition, differences = read_definition(fields, read_domain)
            findings += differences
            if definition is not None:
                declared[name] = definition
        return declared, findings

    def _objectives(self) -> list[StoredObjective]:
        names, mode = self._metadata.get("metric_names"), self._metadata.get("metric_mode")
        names = names if is_list(names) else [self._metadata.get("metric")]
        modes = mode if is_list(mode) else [mode] * len(names)
        return [
            StoredObjective(name, to_goal(each))
            for name, each in zip(names, modes, strict=False)
            if isinstance(name, str)
        ]

    def _rows(self) -> Iterator[dict[str, str]]:
        """Yield the rows of the results that have a trial."""
        self._skipped = 0
        with self._folder.open(_RESULTS) as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    member, *more = archive.infolist()
                    if more or member.file_size > MAX_BYTES:
                        limit = format_bytes(MAX_BYTES)
                        message = f"{_RESULTS} is not one file of at most {limit}"
                        raise UnreadableFileError(message)
                    with archive.open(member) as unpacked:
                        text = TextIOWrapper(unpacked, "utf-8", errors="replace", newline="")
                        yield from self._valid_rows(text)
            except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, csv.Error) as error:
                # RuntimeError: encrypted; NotImplementedError, a subclass: unknown compression
                raise UnreadableFileError(f"{_RESULTS} cannot be read: {error}") from error
            except EOFError as error:
                raise UnreadableFileError(f"{_RESULTS} is cut off") from error

    def _valid_rows(self, text: TextIOWrapper) -> Iterator[dict[str, str]]:
        for number, row in enumerate(read_rows(text)):
            if number == _MAX_ROWS:
                raise UnreadableFileError(f"{_RESULTS} has more than {_MAX_ROWS:,} rows")
            if row is not None and _is_number(row.get("trial_id", "")):
                yield row
            else:
                self._skipped += 1

    def _silent_trials(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the trials in the folder that reported nothing, with their configurations."""
        for path in self._folder.folders():
            if _is_number(path.name) and path.name not in self._counts:
                with suppress(UnreadableFileError):
                    yield path.name, self._folder.json_map(path.name, "config.json")

    def _silent_trial(self, id_: str, config: Mapping[str, Any], space: DerivedSpace) -> Trial:
        errors = self._folder.tail(id_, "std.err")
        folder = self._folder.path / id_
        is_stopped = (folder / "stop").exists() or not (folder / "end").exists()
        reason = errors.strip().rpartition("\n")[2] or "it reported nothing"
        return Trial(
            id=id_,
            number=int(id_) + 1,
            state="cancelled" if is_stopped else "failed",
            parameters=space.assignment(config),
            reason="stopped before its first report" if is_stopped else reason,
            log_tail="" if is_stopped else errors,
            log=str(folder / "std.err") if errors else None,
        )


class _Running:
    """A trial whose rows are still being read."""

    def __init__(self, first: Mapping[str, str]) -> None:
        self._first = first
        self._last = first
        self.rows = 0
        self.measurements: list[Measurement] = []

    def add(self, row: Mapping[str, str], step_name: str | None) -> None:
        self.rows += 1
        self._last = row
        if metrics := _metrics(row, step_name):
            step = to_step(read_cell(row.get(step_name or "", "")))
            index = len(self.measurements) + 1
            self.measurements.append(
                Measurement(index if step is None else step, metrics, _time(row))
            )

    def trial(self, space: DerivedSpace, last_step: int | None) -> Trial:
        first, last = self._first, self._last
        word, decision = last.get("st_status", ""), last.get("st_decision", "")
        state = _STATES.get(word)
        if state is None:  # InProgress: the status when the last result was read
            state = "stopped_early" if decision in {"STOP", "PAUSE"} else "completed"
        if state == "stopped_early" and last_step is not None and self.measurements:
            # The scheduler also stops what has used all of its resource.
            state = "completed" if self.measurements[-1].step >= last_step else state
        time, spent = _time(first), _seconds(first)
        return Trial(
            id=first["trial_id"],
            number=int(first["trial_id"]) + 1,
            state=state,
            parameters=space.assignment(_config(first, space.parameters)),
            measurements=tuple(self.measurements),
            word=word or None,
            started=None if time is None else to_time(time - (spent or 0)),
            ended=_time(last),
            seconds=_seconds(last),
            reason=f"decision {decision}" if state == "stopped_early" and decision else "",
        )


def _is_number(text: str) -> bool:
    """Return whether a text is the number of a trial, as Syne Tune writes it."""
    return text.isascii() and text.isdecimal() and len(text) < 16 and str(int(text)) == text


def _config(row: Mapping[str, str], definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a row; a listed value, such as the text 007, is itself."""
    config: dict[str, Any] = {}
    for key, cell in row.items():
        if key.startswith(_CONFIG) and cell != "":
            name = key.removeprefix(_CONFIG)
            listed = {str(each): each for each in definitions.get(name, {}).get("values", ())}
            config[name] = listed[cell] if cell in listed else read_cell(cell)
    return config


def _metrics(row: Mapping[str, str], step_name: str | None) -> dict[str, float]:
    return {
        key: number
        for key, cell in row.items()
        if not key.startswith((_CONFIG, _OWN)) and key not in {"trial_id", step_name}
        if is_name(key)
        if (number := to_metric(read_cell(cell))) is not None
    }


def _seconds(row: Mapping[str, str]) -> float | None:
    seconds = to_metric(read_cell(row.get("st_worker_time", "")))
    return seconds if seconds is not None and 0 <= seconds < math.inf else None


def _time(row: Mapping[str, str]) -> float | None:
    return to_time(to_metric(read_cell(row.get("st_worker_timestamp", ""))))
