"""Earlier trials in a file: a table of results from cloudtune, another tool or a spreadsheet.

One row is one trial. A column is a parameter or a metric, with cloudtune's prefix or without.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast, get_args

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.planning.table_rows import Row, TrialKey, read_rows, trial_key
from cloudtune.provider.facts import Parent
from cloudtune.results.dataframes import TRIAL_COLUMNS
from cloudtune.results.events import MEASURED_STATES, TrialState
from cloudtune.results.objective import constrained_metrics, objective_values
from cloudtune.study.constraints import outcome_constraints, outcome_margins
from cloudtune.study.map_values import MapValue, plain_values
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import (
    BoolParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import Space, Value, format_value, is_same_value
from cloudtune.study.study import Study
from cloudtune.study.suggestions import did_you_mean

_OWN = {
    *TRIAL_COLUMNS,
    *("run", "provider", "emulated", "broken", "cost", "currency", "measurements", "log_tail"),
}
"""The columns of cloudtune's tables that say nothing to a search."""
_UNFINISHED = {*get_args(TrialState)} - MEASURED_STATES
_UNFINISHED_ELSEWHERE = {"fail", "pruned", "running", "waiting", "error", "pending", "killed"}
"""States in the tables of other tools, such as Optuna and Ray, in lower case."""
_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_NUMERIC = (IntParameter, FloatParameter, DiscreteParameter)
_NUMBER = re.compile(
    r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE
)
_MAX_SHOWN = 8
"""Mistakes, and rows that are left out, that are listed."""


def read_results_file(
    path: Path, study: Study, field: str
) -> tuple[list[tuple[TrialKey | None, Parent]], list[str]]:
    """Return the trials in a file, and what is said about rows and columns that do not count.

    A trial in a table of cloudtune has a key.

    Args:
        path: The file.
        study: The study that learns from them.
        field: The path of the field that names the file.

    Raises:
        StudyError: If the file cannot be read, has no column for a parameter or an objective, or
            has values of other types; all mistakes at once.
        MissingExtraError: If a Parquet file needs a package that is not installed.
    """
    problems: list[str] = []
    try:
        rows = list(read_rows(path))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        rows, problems = [], [f"cannot be read: {getattr(error, 'strerror', None) or error}"]
    if not rows and not problems:
        problems = ["has no rows"]
    table = _Table(study, rows, typed=path.suffix.lower() != ".csv")
    problems += table.problems() if not problems else []
    if problems:
        shown, rest = problems[:_MAX_SHOWN], len(problems) - _MAX_SHOWN
        shown += [f"{format_count(rest, 'more mistake')}"] if rest > 0 else []
        where = study.location(field)
        raise StudyError([Problem(field, f"{path.name}: {each}", "", *where) for each in shown])
    return table.parents(path.name)


class _Table:
    """The rows of a file, with the columns that a study uses."""

    def __init__(self, study: Study, rows: Sequence[Row], *, typed: bool) -> None:
        self._study = study
        self._typed = typed
        self._rows = [
            each._replace(cells=_with_maps(_with_objective(each.cells, study), study))
            for each in rows
        ]
        self.columns = list(dict.fromkeys(name for row in self._rows for name in row.cells))
        self._parameters = self._find(study.parameters, ("parameters.", ""))
        metrics = [objective.metric for objective in study.objectives]
        self._objectives = self._find(metrics, ("objective.", "metrics.", ""))
        needed = {name for each in outcome_constraints(study) for name in each.metrics}
        self._needed = self._find(sorted(needed), ("metrics.", ""))

    def _find(self, names: Iterable[str], prefixes: Sequence[str]) -> dict[str, list[str]]:
        """Return the columns of each name that has one, the first to read first."""
        found = {name: [p + name for p in prefixes if p + name in self.columns] for name in names}
        return {name: columns for name, columns in found.items() if columns}

    def problems(self) -> list[str]:
        """Return the mistakes in columns, or else in cells."""
        found: list[str] = []
        optional = {name for name, each in self._study.parameters.items() if each[0].when}
        for name in self._study.parameters:
            if name not in self._parameters and name not in optional:
                found.append(f"no column for the parameter {name}{self._hint(name)}")
        for objective in self._study.objectives:
            if objective.metric not in self._objectives:
                found.append(
                    f"no column for the objective {objective.metric}{self._hint(objective.metric)}"
                )
        return found or [*self._double_values(), *self._cell_problems()]

    def _hint(self, name: str) -> str:
        unused = [c.rpartition(".")[2] for c in self.columns if c not in self._used]
        similar = did_you_mean(name, unused)
        return f" ({similar})" if similar else f"; it has {', '.join(self.columns[:_MAX_SHOWN])}"

    @property
    def _used(self) -> set[str]:
        return {*chain(*self._parameters.values(), *self._objectives.values())}

    def _double_values(self) -> Iterator[str]:
        """Yield where a row has a parameter or a metric in two columns."""
        for row in self._counted():
            filled = [column for column, raw in row.cells.items() if not _is_empty(raw)]
            for name, columns in (*self._parameters.items(), *self._metric_columns.items()):
                starts = [f"{each}." for each in columns if name in self._study.maps]
                has = [c for c in filled if c in columns or c.startswith(tuple(starts))]
                is_own = name in _OWN or {f"objective.{name}", f"metrics.{name}"} == {*has}
                if len(has) > 1 and not is_own:  # as `cloudtune results` writes them
                    yield f"row {row.number} has {name} in the columns {' and '.join(has)}"

    @property
    def _metric_columns(self) -> dict[str, list[str]]:
        return self._needed | self._objectives

    def _cell_problems(self) -> Iterator[str]:
        for row in self._counted():
            for name, columns in self._parameters.items():
                column, raw = _cell(row, columns)
                kinds = self._study.parameters[name]
                is_text = isinstance(kinds[0], _NUMERIC) and self._is_text(raw)
                if not _is_empty(raw) and (
                    is_text or not any(_convert(each, raw) is not None for each in kinds)
                ):
                    kind = kinds[0].type
                    yield f"row {row.number}, column {column}: {raw!r} is not a value of a {kind}"
            for columns in self._metric_columns.values():
                column, raw = _cell(row, columns)
                if not _is_empty(raw) and (_to_number(raw) is None or self._is_text(raw)):
                    yield f"row {row.number}, column {column}: {raw!r} is not a number"

    def _is_text(self, raw: Any) -> bool:
        """Return whether a text stays one: where numbers have a type, it must print as one."""
        number = _to_number(raw) if self._typed and isinstance(raw, str) else None
        if number is None or not math.isfinite(number):
            return False
        return raw not in {str(number), format_value(number), f"{number:.0f}"}

    def _counted(self) -> Iterator[Row]:
        """Yield the rows of trials that have finished; without a state, all have."""
        return (row for row in self._rows if not _is_unfinished(row))

    def parents(self, file: str) -> tuple[list[tuple[TrialKey | None, Parent]], list[str]]:
        """Return the trials from which a search can learn, and why others are left out."""
        from cloudtune.search.sampling import filter_prior_trials

        space, count = Space.from_study(self._study), len(self._study.objectives)
        constraints = outcome_constraints(self._study)
        needed = {name for each in constraints for name in each.metrics}
        parents: list[tuple[float, Row, TrialKey | None, Parent]] = []
        left_out = [
            f"row {row.number} has the state {row.cells['state']}"
            for row in self._rows
            if _is_unfinished(row)
        ]
        for row in self._counted():
            values = {
                name: value
                for name, columns in self._parameters.items()
                if (value := self._value(name, _cell(row, columns)[1])) is not None
            }
            numbers = [_to_number(_cell(row, each)[1]) for each in self._objectives.values()]
            objective = tuple(number for number in numbers if number is not None)
            parent = Parent(values, objective, file)
            measured = constrained_metrics(self._study, _metrics(row), numbers)
            missing = sorted(needed - measured.keys())
            if len(objective) < count or not all(map(math.isfinite, objective)):
                left_out.append(f"row {row.number} has no value of the objective")
            elif missing:
                names = " and ".join(missing)
                left_out.append(
                    f"row {row.number} has no value of {names}, which is in constraints"
                )
            elif any(each > 0 for each in outcome_margins(constraints, values, measured)):
                left_out.append(f"row {row.number} breaks a constraint on metrics")
            elif not filter_prior_trials(space, count, [parent]):
                given = ", ".join(f"{name} {format_value(value)}" for name, value in values.items())
                left_out.append(f"row {row.number} is not in the search space ({given})")
            else:
                amount = _to_number(row.cells.get("resource")) or 0.0
                parents.append((amount, row, _key(row, values), parent))
        most = max((amount for amount, *_ in parents), default=0.0)
        left_out += [
            f"row {row.number} has a resource of {amount:g}, and others have {most:g}"
            for amount, row, *_ in parents
            if amount < most
        ]
        notes: list[str] = []
        if left_out:
            rest = len(left_out) - _MAX_SHOWN
            shown = left_out[:_MAX_SHOWN] + ([f"and {rest} more"] if rest > 0 else [])
            total = format_count(len(self._rows), "row")
            notes.append(f"{file}: {len(left_out)} of {total} are left out: {'; '.join(shown)}")
        unknown = [
            name
            for name in self.columns
            if name not in self._used | _OWN | needed
            and not name.startswith(("metrics.", "objective"))
        ]
        if unknown:
            names = ", ".join(unknown[:_MAX_SHOWN])
            notes.append(f"{file}: columns that the study does not have: {names}")
        return [(key, parent) for amount, _, key, parent in parents if amount == most], notes

    def _value(self, name: str, raw: Any) -> Value | None:
        if _is_empty(raw):
            return None
        found = [_convert(each, raw) for each in self._study.parameters[name]]
        return next((value for value in found if value is not None), None)


def _is_unfinished(row: Row) -> bool:
    """Return whether the trial of a row has not finished, here or in another tool."""
    state = row.cells.get("state")
    if not isinstance(state, str) or state in _UNFINISHED:
        return state in _UNFINISHED
    return state not in get_args(TrialState) and state.lower() in _UNFINISHED_ELSEWHERE


def _with_objective(cells: Mapping[str, Any], study: Study) -> Mapping[str, Any]:
    """Return a row with the objective that the study selects of its measurements, if it has any."""
    try:
        measured = [
            {name: float(value) for name, value in each["metrics"].items()}
            for each in cast("list[Any]", cells["measurements"])
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return cells
    values = objective_values(study, measured)
    names = [f"objective.{objective.metric}" for objective in study.objectives]
    return {**cells, **(dict(zip(names, values, strict=True)) if values else {})}


def _with_maps(cells: Mapping[str, Any], study: Study) -> Mapping[str, Any]:
    """Return a row with the texts of maps in place of the columns of their parts.

    Parts beside a text stay, and are a mistake.
    """
    found = dict(cells)
    for name, maps in study.maps.items():
        for column in (f"parameters.{name}", name):
            prefix = f"{column}."
            names = [each for each in found if each.startswith(prefix)]
            parts = {n.removeprefix(prefix): found[n] for n in names if not _is_empty(found[n])}
            if not _is_empty(found.get(column)):
                continue
            for each in names:
                del found[each]
            if parts:
                same = (text for text, each in maps.items() if _are_parts(each, parts))
                found[column] = next(same, str(MapValue(parts)))
    return found


def _are_parts(parts: Mapping[str, Value], cells: Mapping[str, Any]) -> bool:
    return parts.keys() == cells.keys() and all(
        _is_part(part, cells[key]) for key, part in parts.items()
    )


def _is_part(part: Value, raw: Any) -> bool:
    if isinstance(part, bool) and isinstance(raw, str):
        return _BOOLS.get(raw.strip().lower()) is part
    number = None if isinstance(part, str) else _to_number(raw)
    return raw == format_value(part) or is_same_value(part, raw if number is None else number)


def _metrics(row: Row) -> dict[str, float]:
    """Return the numbers in a row by name, those of metrics without their prefix."""
    cells = sorted(row.cells.items(), key=lambda each: each[0].startswith("metrics."))
    numbers = ((name.removeprefix("metrics."), _to_number(raw)) for name, raw in cells)
    return {name: number for name, number in numbers if number is not None}


def _key(row: Row, values: Mapping[str, Value]) -> TrialKey | None:
    run, provider, number = (row.cells.get(name) for name in ("run", "provider", "number"))
    if any(map(_is_empty, (run, provider, number))):
        return None
    return trial_key(run, provider, number, values)


def _cell(row: Row, columns: Sequence[str]) -> tuple[str, Any]:
    """Return the first of the columns that has a value in a row, and its value."""
    filled = (column for column in columns if not _is_empty(row.cells.get(column)))
    column = next(filled, columns[0])
    return column, row.cells.get(column)


def _is_empty(raw: Any) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _to_number(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    if isinstance(raw, str) and not _NUMBER.fullmatch(raw.strip()):
        return None
    try:
        return float(raw)
    except OverflowError:
        return None


def _convert(parameter: Parameter, raw: Any) -> Value | None:
    """Return a cell as a value of a parameter's type, also of one that it does not have."""
    if isinstance(parameter, BoolParameter):
        return raw if isinstance(raw, bool) else _BOOLS.get(str(raw).strip().lower())
    if isinstance(parameter, IntParameter | FloatParameter):
        number = _to_number(raw)
        if number is None or not math.isfinite(number):
            return None
        is_whole = isinstance(parameter, IntParameter) and number == int(number)
        return int(number) if is_whole else number
    if isinstance(parameter, DiscreteParameter) and _to_number(raw) is None:
        return None
    values = plain_values(parameter.values)
    for member in values:
        if is_same_value(member, raw) or (isinstance(raw, str) and format_value(member) == raw):
            return member
    number = _to_number(raw)
    if number is not None and (same := [v for v in values if is_same_value(v, number)]):
        return same[0]
    return raw if isinstance(raw, str | int | float | bool) else None
