"""Results as flat tables, one row a trial: pandas, polars, Parquet, and rows for CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cloudtune.errors import MissingExtraError
from cloudtune.results import StudyResult
from cloudtune.space import text
from cloudtune.study import Study


def rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row a trial: what is not known is left out.

    Parameters, metrics and objectives have the prefixes ``parameters.``, ``metrics.`` and
    ``objective.``; measurements and log tails are left to the JSON form.
    """
    objectives = [o.metric for o in Study.model_validate(result.study).objectives]
    made: list[dict[str, Any]] = []
    for trial in result.trials:
        row: dict[str, Any] = {"run": result.run, "provider": result.provider}
        row |= {
            name: value
            for name in _FLAT
            if (value := getattr(trial, name)) is not None and value != ""
        }
        if trial.cost:
            row |= {"cost": trial.cost.amount, "currency": trial.cost.currency}
        row |= {f"parameters.{name}": value for name, value in trial.parameters.items()}
        row |= {f"metrics.{name}": value for name, value in trial.metrics.items()}
        values = zip(objectives, trial.objective or (), strict=False)
        row |= {f"objective.{name}": value for name, value in values}
        made.append(row)
    return made


def to_pandas(found: Iterable[StudyResult]) -> Any:
    """Return a pandas DataFrame, one row a trial.

    Raises:
        MissingExtraError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("a pandas table", "data") from error
    return pd.DataFrame([row for result in found for row in rows(result)])


def to_polars(found: Iterable[StudyResult]) -> Any:
    """Return a polars DataFrame, one row a trial.

    Raises:
        MissingExtraError: If polars is not installed.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError("a polars table", "polars") from error
    return pl.DataFrame(_columns(found))


def to_parquet(found: Iterable[StudyResult], path: Path) -> None:
    """Write a Parquet file, one row a trial.

    A parameter whose values have several types becomes text: a Parquet column has one.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    try:
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("a Parquet file", "data") from error
    pq.write_table(pa.table(_columns(found)), path)


def _columns(found: Iterable[StudyResult]) -> dict[str, Sequence[Any]]:
    flat = [row for result in found for row in rows(result)]
    names = dict.fromkeys(name for row in flat for name in row)
    return {name: _column([row.get(name) for row in flat]) for name in names}


def _column(values: Sequence[Any]) -> Sequence[Any]:
    kinds: set[type] = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else text(value) for value in values]


_FLAT = (
    "id",
    "number",
    "state",
    "word",
    "created",
    "started",
    "ended",
    "seconds",
    "billed_seconds",
    "machine",
    "resource",
    "replaces",
    "exit_code",
    "reason",
    "log",
    "artifacts",
)
