"""Runs of MLflow: a parent run whose nested runs are trials, or the runs of an experiment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typing_extensions import override

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.exported_runs import (
    finished_run,
    join_parts,
    parse_result,
    parse_trial,
)
from cloudtune.formats.mlflow import METRIC_NAMES, RESULT, TRIAL
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.formats.tool_runs.mlflow_stores import (
    ClientStore,
    MlflowRun,
    Store,
    group_points,
    is_mlflow_database,
    is_mlflow_folder,
    open_store,
)
from cloudtune.formats.tool_runs.objective import choose_objectives
from cloudtune.formats.tool_runs.places import choose_name
from cloudtune.formats.tool_runs.rebuilt import TrialSource, rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace
from cloudtune.formats.tool_runs.values import Period, is_name, to_metric, to_time
from cloudtune.formats.values import parse_text
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.quantities import format_count
from cloudtune.study.search_space import Value
from cloudtune.study.yaml_reader import is_map

_STATES: Mapping[str, TrialState] = {
    "FINISHED": "completed",
    "FAILED": "failed",
    "KILLED": "cancelled",
    "RUNNING": "cancelled",
}
_REASONS = {
    "FAILED": "it failed",
    "KILLED": "killed",
    "RUNNING": "running when it was read",
}
_RUN_ID = re.compile(r"[0-9a-f]{32}")


class MlflowReader(RunReader):
    """Parent runs and experiments of MLflow."""

    name = "mlflow"
    title = "runs of MLflow"
    source = "mlflow 3.17, mlflow/store/tracking, 2026-11-27"

    @override
    def matches(self, path: Path) -> bool:
        return is_mlflow_folder(path) or (path.is_file() and is_mlflow_database(path))

    @override
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        if _RUN_ID.fullmatch(location):  # of the server that MLflow is set to
            return _Reading(ClientStore(None), choice, location).finished_run()
        return _Reading(open_store(location), choice, choice.name).finished_run()


@dataclass
class _Group:
    """The runs that are the trials of one study."""

    name: str
    parent: str = ""
    """The ID of the parent run; empty for the runs of an experiment."""
    ids: tuple[str, ...] = ()


class _Reading:
    def __init__(self, store: Store, choice: RunChoice, name: str | None) -> None:
        self._store = store
        self._choice = choice
        self._name = name
        self._findings: list[Finding | Note] = []

    def finished_run(self) -> FinishedRun:
        group = self._choose_group()
        address = f"mlflow:{self._store.address}#{group.parent or group.name}"
        if group.parent:
            (parent,) = self._store.runs([group.parent], with_points=False)
            exported = parse_result(join_parts(parent.tags, RESULT))
            if exported is not None:
                trials = TrialSource(partial(_exported_trials, self._store, group.ids))
                return finished_run(exported, trials, address, self._findings)
        return self._rebuild(group, address)

    def _rebuild(self, group: _Group, address: str) -> FinishedRun:
        space = ObservedSpace("MLflow", has_texts=True)
        metrics, period, waiting = dict[str, None](), Period(), 0
        for run in self._store.runs(group.ids, with_points=False):
            if run.status == "SCHEDULED":
                waiting += 1
                continue
            space.add(_config(run), is_complete=run.status == "FINISHED")
            metrics |= {name: None for name, *_ in run.points if is_name(name)}
            period.add(_seconds(run.started), _seconds(run.ended))
        if waiting:
            text = f"{format_count(waiting, 'run')} that never started left out"
            self._findings.append(Note("runs", text))
        derived = space.derive()
        objectives = choose_objectives(self._choice, [], metrics, "MLflow")
        name = group.name or group.parent
        return FinishedRun(
            study=rebuild_study(name, objectives, derived, f"MLflow run {name}"),
            trials=TrialSource(partial(_trials, self._store, group.ids, derived)),
            job=name,
            address=address,
            findings=(*self._findings, *derived.findings),
            started=period.start,
            ended=period.end,
        )

    def _choose_group(self) -> _Group:
        """Return the group that the user names: a parent by its name or ID, or an experiment."""
        heads = sorted(self._store.heads(), key=lambda head: to_metric(head.started) or 0.0)
        parents = {head.parent for head in heads if head.parent}
        groups: dict[tuple[str, str], list[str]] = {}
        for head in heads:
            if head.parent:
                groups.setdefault((head.parent, ""), []).append(head.id)
            elif head.id not in parents:
                groups.setdefault(("", head.experiment), []).append(head.id)
        names = {head.id: head.name for head in heads}
        found: dict[str, _Group] = {}
        for (parent, experiment), ids in groups.items():
            name = names.get(parent, "") if parent else experiment
            group = _Group(name, parent, tuple(ids))
            # Parents come first: an experiment may have other runs next to them.
            key = name if name and name not in found else parent or experiment
            found.setdefault(key, group)
            if parent and self._name == parent:
                return group
        if self._name is None and (only := [each for each in found.values() if each.parent]):
            found = {key: each for key, each in found.items() if each in only}
        return found[choose_name(self._name, found, f"{self._store.address} has no runs of MLflow")]


def _trials(store: Store, ids: Sequence[str], space: DerivedSpace) -> Iterator[Trial]:
    numbers = {id_: number for number, id_ in enumerate(ids, start=1)}
    for run in store.runs(ids, with_points=True):
        if run.status == "SCHEDULED":
            continue
        yield Trial(
            id=run.id,
            number=numbers[run.id],
            state=_STATES.get(run.status, "unknown"),
            parameters=space.assignment(_config(run)),
            measurements=tuple(_measurements(run, {})),
            word=run.status or None,
            started=_seconds(run.started),
            ended=_seconds(run.ended),
            reason=_REASONS.get(run.status, ""),
        )


def _exported_trials(store: Store, ids: Sequence[str]) -> Iterator[Trial]:
    """Yield the trials of a run that cloudtune exported."""
    for run in store.runs(ids, with_points=True):
        measurements = list(_measurements(run, _metric_names(run)))
        trial = parse_trial(join_parts(run.tags, TRIAL), measurements)
        if trial is None:
            raise UsageError(f"run {run.id} of an export of cloudtune has been changed")
        yield trial


def _config(run: MlflowRun) -> dict[str, Value]:
    """Return the parameters, which MLflow keeps as text: numbers if they print back as the same."""
    return {name: parse_text(text) for name, text in run.params.items()}


def _metric_names(run: MlflowRun) -> dict[str, str]:
    """Return the original name of each metric that an export had to rename."""
    try:
        names = json.loads(join_parts(run.tags, METRIC_NAMES) or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(plain): str(name) for plain, name in names.items()} if is_map(names) else {}


def _measurements(run: MlflowRun, names: Mapping[str, str]) -> Iterator[Measurement]:
    for step, metrics, time in group_points(run.points):
        known = {names.get(name, name): value for name, value in metrics.items() if is_name(name)}
        if known:
            yield Measurement(step, known, _seconds(time))


def _seconds(milliseconds: object) -> float | None:
    number = to_metric(milliseconds)
    return None if number is None else to_time(number / 1000)
