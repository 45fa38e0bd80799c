"""Choosing and sorting the trials of a job."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.results.dataframes import trial_rows
from cloudtune.results.model import StudyResult, Trial, is_candidate, trial_rank
from cloudtune.study.suggestions import did_you_mean

_SHORT_NAMES = {"trial": "number"}
_PREFIXES = ("", "objective.", "parameters.", "metrics.")


def top_trials(result: StudyResult, trials: Iterable[Trial], count: int) -> list[Trial]:
    """Return the best trials of a job, the best first; completed ones before those stopped early.

    Raises:
        UsageError: If the job has several objectives.
    """
    objectives = result.study.objectives
    if len(objectives) != 1:
        raise UsageError(
            f"run {result.run} has several objectives, so its trials have no order; use --best for "
            "the Pareto front, or --sort"
        )
    goal = objectives[0].goal
    candidates = filter(is_candidate, trials)
    return sorted(candidates, key=lambda trial: trial_rank(trial, goal))[:count]


def sort_trials(result: StudyResult, trials: Iterable[Trial], key: str) -> list[Trial]:
    """Return the trials of a job sorted by a column; those without a number come last.

    Args:
        result: The job.
        trials: Its trials.
        key: The name of an objective, parameter, metric, or other column, with or without prefix;
            ``-`` in front sorts in descending order.

    Raises:
        UsageError: If no trial has such a column.
    """
    every = list(trials)
    rows = list(trial_rows(result, every))
    name = key.removeprefix("-")
    column = _find_column(rows, _SHORT_NAMES.get(name, name))
    if column is None and rows:
        known = dict.fromkeys(each.rpartition(".")[2] for row in rows for each in row)
        hint = did_you_mean(name, known) or f"use one of {', '.join(known)}"
        raise UsageError(f"no trial has a value of {name}; {hint}")
    pairs = [(_unless_nan(row.get(column or "")), t) for row, t in zip(rows, every, strict=True)]
    valued = [(_sort_key(value), trial) for value, trial in pairs if value is not None]
    valued.sort(key=lambda pair: pair[0], reverse=key.startswith("-"))
    return [trial for _, trial in valued] + [trial for value, trial in pairs if value is None]


def _find_column(rows: Sequence[dict[str, Any]], name: str) -> str | None:
    candidates = (f"{prefix}{name}" for prefix in _PREFIXES)
    return next((each for each in candidates if any(each in row for row in rows)), None)


def _unless_nan(value: Any) -> Any:
    """Return a value, or None for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _sort_key(value: Any) -> tuple[bool, float, str]:
    """Return a key that orders numbers before texts."""
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if is_number else 0.0, "" if is_number else str(value)
