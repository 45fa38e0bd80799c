"""The exit codes of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cloudtune.results.events import RESUMABLE_JOB_STATES

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult


MEANINGS: Mapping[int, str] = {
    0: "done",
    1: "the study or the command is wrong, or a part of the ledger is damaged",
    2: "a provider cannot express the study (with `--strict`: not exactly); the others ran",
    3: "a provider failed, or too many trials failed",
    4: "the run ended, but no completed trial measured its objective",
    130: "interrupted; the message shows how to resume",
}
"""What the exit codes mean."""


def run_exit_code(results: Iterable[StudyResult]) -> int:
    """Return the exit code of a run: the first of 130, 3, 4, 2 that a job has, else 0."""
    codes = {_job_exit_code(result) for result in results}
    return next((code for code in (130, 3, 4, 2) if code in codes), 0)


def _job_exit_code(result: StudyResult) -> int:
    from cloudtune.results.aggregate import misread_trials

    if result.refused and not result.trials:
        return 2
    if result.state != "completed":
        return 130 if result.state in RESUMABLE_JOB_STATES else 3
    if not result.best_trials():
        return 4
    return 3 if misread_trials(result) else 0
