"""What exports of runs keep for a later attach: the run and its trials as JSON, in parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.results.events import OPEN_JOB_STATES, JobState, RunJobState
from cloudtune.results.model import Measurement, StudyResult, Trial, encode_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from cloudtune.diagnostics import Finding, Note
    from cloudtune.formats.run_reader import FinishedRun

_MEASUREMENTS = 200
"""Measurements in one part."""


def result_text(result: StudyResult) -> str:
    """Return a job without its trials as JSON."""
    return replace(result, trials=(), decision=None).to_json()


def trial_text(trial: Trial) -> str:
    """Return a trial without its measurements as JSON."""
    return encode_json(replace(trial, measurements=()))


def measurement_texts(trial: Trial) -> Iterator[str]:
    """Yield the measurements of a trial as JSON, in parts."""
    rows = [[each.step, each.time, dict(each.metrics)] for each in trial.measurements]
    for first in range(0, len(rows), _MEASUREMENTS):
        yield encode_json(rows[first : first + _MEASUREMENTS])


def parse_result(text: Any) -> StudyResult | None:
    """Return the job that `result_text` wrote; None if the text is something else."""
    try:
        return StudyResult.from_json(text) if isinstance(text, str) else None
    except ValueError:
        return None


def parse_trial(text: Any, measurements: Sequence[Measurement]) -> Trial | None:
    """Return the trial that `trial_text` wrote; None if the text is something else."""
    try:
        trial = _trial_adapter().validate_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if trial is None:
        return None
    # A file that a storage of others names is not opened: only logs as cloudtune writes them.
    is_log = trial.log is not None and ("://" in trial.log or Path(trial.log).name == "log.txt")
    log = trial.log if is_log else None
    return replace(trial, measurements=tuple(measurements), log=log)


@cache
def _trial_adapter() -> TypeAdapter[Trial]:
    from pydantic import TypeAdapter as Adapter

    return Adapter(Trial)


def parse_measurements(texts: Iterable[Any]) -> list[Measurement]:
    """Return the measurements that `measurement_texts` wrote.

    Raises:
        ValueError: If a text is something else.
    """
    try:
        return [
            Measurement(step, {name: float(value) for name, value in metrics.items()}, time)
            for text in texts
            for step, time, metrics in json.loads(text)
        ]
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no measurements of an export") from error


def parts(text: str, size: int) -> list[str]:
    """Return a text in parts of a limited length."""
    return [text[first : first + size] for first in range(0, len(text), size)]


def join_parts(values: Mapping[str, Any], key: str) -> str | None:
    """Return the text whose parts are under a key, the key with `` 2``, and so on."""
    found: list[str] = []
    while isinstance(part := values.get(part_key(key, len(found))), str):
        found.append(part)
    return "".join(found) or None


def part_key(key: str, index: int) -> str:
    """Return the key of a part, counted from 0."""
    return f"{key} {index + 1}" if index else key


def finished_run(
    result: StudyResult,
    trials: Iterable[Trial],
    address: str,
    notes: Sequence[Finding | Note],
) -> FinishedRun:
    """Return an exported job as a run that can be attached."""
    from cloudtune.diagnostics import Note
    from cloudtune.formats.run_reader import FinishedRun

    is_open = result.state in OPEN_JOB_STATES
    text = f"exported by cloudtune: run {result.run} on {result.provider}"
    return FinishedRun(
        study=result.study,
        trials=trials,
        job=result.job or f"{result.run} on {result.provider}",
        address=address,
        findings=(Note("study", text), *notes, *result.findings),
        state=_end(result.state),
        reason=result.reason or ("it had not ended when it was exported" if is_open else ""),
        started=result.started,
        ended=result.ended,
        link=result.link,
        emulated=result.emulated,
    )


def _end(state: RunJobState) -> JobState:
    """Return the state of an attached run, which has ended, of that of its job."""
    if state in OPEN_JOB_STATES:
        return "unknown"
    return "failed" if state == "refused" else state
