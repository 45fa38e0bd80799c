"""Results as flat tables with one row for each trial: pandas, polars, Parquet, and CSV rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.errors import import_extra
from cloudtune.results.model import StudyResult, Trial, to_datetime
from cloudtune.study.search_space import format_value

_TIMES = ("created", "started", "ended")
TRIAL_COLUMNS = (
    *("id", "number", "state", "word", *_TIMES, "seconds"),
    *("waited", "billed_seconds", "billed_at_least", "machine", "resource", "seed", "replaces"),
    *("retries", "proposal", "why", "exit_code", "reason", "log", "artifacts"),
)
"""The fields of a trial that are columns as they are."""


def trial_rows(
    result: StudyResult, trials: Iterable[Trial] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one flat row for each trial. Unknown values are omitted.

    Parameters, metrics, and objectives have the prefixes ``parameters.``, ``metrics.``, and
    ``objective.``. Measurements and log tails are only in the JSON format. By default, the trials
    are the result's own.
    """
    objectives = [f"objective.{o.metric}" for o in result.study.objectives]
    for trial in result.trials if trials is None else trials:
        row: dict[str, Any] = {
            "run": result.run,
            "provider": result.provider,
            "emulated": result.emulated,
        }
        for name in TRIAL_COLUMNS:
            value = getattr(trial, name)
            if value is not None and value != "":
                row[name] = value
        if trial.broken:
            row["broken"] = "; ".join(trial.broken)
        if trial.cost:
            row |= {"cost": trial.cost.amount, "currency": trial.cost.currency}
        row |= {f"parameters.{name}": value for name, value in trial.parameters.items()}
        row |= {f"metrics.{name}": value for name, value in trial.metrics.items()}
        row |= zip(objectives, trial.objective or (), strict=False)
        yield row


def to_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return rows as columns, in order of first occurrence, with None for absent values.

    Columns take a fraction of the memory of the rows.
    """
    columns: dict[str, list[Any]] = defaultdict(list)
    count = 0
    for row in rows:
        for name, value in row.items():
            column = columns[name]
            column.extend([None] * (count - len(column)))
            column.append(value)
        count += 1
    for column in columns.values():
        column.extend([None] * (count - len(column)))
    return columns


def to_pandas(results: Iterable[StudyResult]) -> Any:
    """Return a pandas DataFrame with one row for each trial.

    Raises:
        MissingExtraError: If pandas is not installed.
    """
    pd = import_extra("pandas", "a pandas table", "data")
    rows = (row for result in results for row in trial_rows(result))
    return pd.DataFrame(_with_datetimes(to_columns(rows)))


def to_polars(results: Iterable[StudyResult]) -> Any:
    """Return a polars DataFrame with one row for each trial.

    Raises:
        MissingExtraError: If polars is not installed.
    """
    pl = import_extra("polars", "a polars table", "polars")
    return pl.DataFrame(_typed(row for result in results for row in trial_rows(result)))


def to_parquet(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write flat rows into a Parquet file.

    A Parquet column has one type, so a parameter with values of several types is written as text.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    pa = import_extra("pyarrow", "a Parquet file", "data")
    pq = import_extra("pyarrow.parquet", "a Parquet file", "data")
    pq.write_table(pa.table(_typed(rows)), path)


def _typed(rows: Iterable[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    return {name: _column(values) for name, values in _with_datetimes(to_columns(rows)).items()}


def _with_datetimes(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return columns with their times as datetimes in UTC."""
    return {
        name: list(map(to_datetime, values)) if name in _TIMES else values
        for name, values in columns.items()
    }


def _column(values: Sequence[Any]) -> Sequence[Any]:
    types: set[type] = {type(value) for value in values if value is not None}
    if len(types) <= 1:
        return values
    if types == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else format_value(value) for value in values]
