"""Runs of Weights & Biases that were exported to a CSV or JSON file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import override

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.fields import Fields, Report
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.formats.tool_runs.objective import StoredObjective, choose_objectives, to_goal
from cloudtune.formats.tool_runs.places import choose_name
from cloudtune.formats.tool_runs.rebuilt import TrialSource, rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace
from cloudtune.formats.tool_runs.tables import read_cell
from cloudtune.formats.tool_runs.values import Period, to_metric, to_metrics, to_step, to_time
from cloudtune.formats.tool_runs.wandb_rows import Export, Row, numbers, open_export
from cloudtune.formats.wandb import WandbFormat
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.quantities import format_count
from cloudtune.study.regular_files import open_regular
from cloudtune.study.yaml_reader import is_map

_STATES: Mapping[str, TrialState] = {
    "finished": "completed",
    "failed": "failed",
    "crashed": "failed",
    "killed": "cancelled",
    "preempted": "cancelled",
    "preempting": "cancelled",
    "running": "cancelled",
    "": "completed",
}
_HEAD = 65_536
_MILLISECONDS = 1e11
"""A time above this is in milliseconds."""


class WandbReader(RunReader):
    """Exports of the runs of a W&B project or sweep."""

    name = "wandb"
    title = "a W&B export"
    source = "https://docs.wandb.ai/models/track/public-api-guide, read 2026-11-27"

    @override
    def matches(self, path: Path) -> bool:
        if path.suffix.lower() not in {".csv", ".json", ".jsonl"}:
            return False
        try:
            with open_regular(path) as file:
                head = file.read(_HEAD).decode("utf-8", "replace")
        except OSError:
            return False
        if path.suffix.lower() != ".csv":
            return '"config"' in head and ('"summary' in head or '"summaryMetrics"' in head)
        names = {name.strip('" \r\n\ufeff').lower() for name in head.partition("\n")[0].split(",")}
        return (
            {"name", "state"} <= names
            or {"config", "summary"} <= names
            or any(name.startswith("config.") for name in names)
        )

    @override
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        path = Path(location).expanduser()
        return _Reading(path, open_export(path, choice.parameters), choice).finished_run()


class _Reading:
    def __init__(self, path: Path, export: Export, choice: RunChoice) -> None:
        self._path = path
        self._export = export
        self._choice = choice
        self._sweep: str | None = None
        self._findings: list[Finding | Note] = []

    def finished_run(self) -> FinishedRun:
        self._sweep = self._choose_sweep()
        declared, stored = self._read_sweep()
        space, metrics = ObservedSpace("the export", declared), dict[str, None]()
        period, count = Period(), 0
        for row in self._rows():
            count += 1
            space.add(row.config)
            for values in (row.summary, *row.history[:1]):
                metrics |= dict.fromkeys(to_metrics(numbers(values)))
            period.add(_time(row.created), _end(row))
        if not count:
            raise UsageError(f"{self._path} has no run that was started, with parameters")
        derived = space.derive()
        objectives = choose_objectives(self._choice, stored, metrics, "the export")
        name = self._sweep or self._path.stem
        address = f"wandb:{self._path.resolve()}" + (f"#{self._sweep}" if self._sweep else "")
        return FinishedRun(
            study=rebuild_study(name, objectives, derived, f"W&B export {self._path.name}"),
            trials=TrialSource(partial(self.trials, derived)),
            job=name,
            address=address,
            findings=(*self._findings, *derived.findings),
            started=period.start,
            ended=period.end,
        )

    def trials(self, space: DerivedSpace) -> Iterator[Trial]:
        for number, row in enumerate(self._rows(), start=1):
            yield _trial(number, row, space)

    def _rows(self) -> Iterator[Row]:
        for row in self._export.rows():
            if row.state != "pending" and self._sweep in {None, row.sweep}:
                yield row

    def _choose_sweep(self) -> str | None:
        """Return the one sweep whose runs are read; None if no run belongs to a sweep."""
        sweeps = Counter(row.sweep for row in self._export.rows())
        others = sweeps.pop("", 0)
        if not sweeps:
            if self._choice.name is not None:
                raise UsageError(f"no run in {self._path} belongs to a sweep; leave out --name")
            return None
        name = choose_name(self._choice.name, sweeps, "")
        if others:
            text = f"{format_count(others, 'run')} without a sweep left out"
            self._findings.append(Note("runs", text))
        return name

    def _read_sweep(self) -> tuple[dict[str, dict[str, Any]], list[StoredObjective]]:
        """Return the parameters and the objective of the sweep, if the export has it."""
        sweep = self._export.sweep
        if sweep is None:
            return {}, []
        report = Report(self._path)
        (draft,) = WandbFormat().read(Fields(dict(sweep), report, "sweep"))
        self._findings += [
            each
            for each in report.findings
            if isinstance(each, Finding) and each.path.startswith("sweep.parameters")
        ]
        objective = draft.data.get("objective")
        stored = [objective] if is_map(objective) else objective or []
        return dict(draft.data.get("parameters", {})), [
            StoredObjective(each["metric"], to_goal(each["goal"])) for each in stored
        ]


def _trial(number: int, row: Row, space: DerivedSpace) -> Trial:
    state = _STATES.get(row.state, "unknown")
    reason = "" if row.state in {"finished", "", "failed"} else row.state
    if row.state == "running":
        reason = "running when it was exported"
    seconds = to_metric(read_cell(row.runtime) if isinstance(row.runtime, str) else row.runtime)
    seconds = to_metric(row.summary.get("_runtime")) if seconds is None else seconds
    return Trial(
        id=row.id,
        number=number,
        state=state,
        parameters=space.assignment(row.config),
        measurements=tuple(_measurements(row)),
        word=row.state or None,
        started=_time(row.created),
        ended=_end(row),
        seconds=seconds if seconds is not None and 0 <= seconds < 1e11 else None,
        machine=row.host or None,
        reason=reason or ("it failed" if state == "failed" else ""),
    )


def _measurements(row: Row) -> Iterator[Measurement]:
    """Yield the history, and what the summary has instead of its last values.

    W&B's API returns a sample of a long history, and a script can change the summary.
    """
    step, last_values = 0, dict[str, float]()
    for index, values in enumerate(row.history, start=1):
        if metrics := to_metrics(numbers(values)):
            own = to_step(values.get("_step"))
            step = index if own is None else own
            last_values |= metrics
            yield Measurement(step, metrics, _time(values.get("_timestamp")))
    summary = to_metrics(numbers(row.summary))
    if rest := {n: x for n, x in summary.items() if repr(last_values.get(n)) != repr(x)}:
        own = to_step(row.summary.get("_step"))
        last = max(step, 1) if own is None else max(own, step)
        yield Measurement(last, rest, _time(row.summary.get("_timestamp")))


def _end(row: Row) -> float | None:
    return _time(row.summary.get("_timestamp")) or _time(row.ended)


def _time(value: Any) -> float | None:
    """Return a time: an ISO date, which is in UTC if it does not say, seconds or milliseconds."""
    if isinstance(value, str):
        value = read_cell(value)
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return None
    number = to_metric(value)
    if number is not None and number >= _MILLISECONDS:
        number /= 1000
    return to_time(number)
