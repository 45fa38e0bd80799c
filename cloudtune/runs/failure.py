"""The error of a run that ended without any result."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from cloudtune.errors import CloudtuneError, RunFailedError
from cloudtune.ledger.reader import read_results
from cloudtune.results.aggregate import count_states
from cloudtune.results.events import RESUMABLE_JOB_STATES
from cloudtune.results.failure import sample_lines, traceback_lines
from cloudtune.results.model import StudyResult, Trial
from cloudtune.results.outcomes import explain_infeasible
from cloudtune.runs.logs import read_output
from cloudtune.study.quantities import format_count

_MAX_LINES = 200
"""Lines at the end of a log in which the traceback is."""


def raise_without_result(run: str, on: Collection[str] = ()) -> None:
    """Check that the ended jobs of a run, on some providers or on all, have any result.

    Raises:
        RunFailedError: If none has a best trial. It is not raised if one was stopped, or if the
            study tolerates the failures with ``limits.max_failed_trials``.
    """
    jobs: list[StudyResult] = []
    for job, trials in read_results(run):
        if on and job.provider not in on:
            continue
        if job.state in RESUMABLE_JOB_STATES:
            return
        without_result: list[Trial] = []
        for trial in trials:
            if job.best_trials([trial]):
                return
            without_result.append(trial)
        jobs.append(replace(job, trials=tuple(without_result)))
    if all(map(_is_tolerated, jobs)):
        return
    reasons = "\n".join(f"{job.provider}: {_reason(job)}" for job in jobs)
    lines = [f"run {run} has no result", reasons, *_first_failure(jobs, reasons)]
    raise RunFailedError(run, "\n".join(lines))


def _is_tolerated(job: StudyResult) -> bool:
    return job.state == "completed" and job.study.limits.max_failed_trials is not None


def _reason(job: StudyResult) -> str:
    """Return why a job has no result."""
    if job.state != "completed":
        return job.reason or job.state
    if infeasible := explain_infeasible(job.study, job.trials):
        return infeasible
    metrics = " and ".join(objective.metric for objective in job.study.objectives)
    failed = count_states(job.trials).get("failed", 0)
    count = f"{failed} of {format_count(len(job.trials), 'trial')} failed" if failed else "none ran"
    return f"no completed trial measured {metrics} ({count})"


def _first_failure(jobs: Sequence[StudyResult], reasons: str) -> Iterator[str]:
    """Yield the reason of the first failed trial, unless given, and its traceback or output."""
    for job in jobs:
        for trial in job.trials:
            if trial.state != "failed":
                continue
            try:
                output: Iterable[str] = deque(
                    read_output(job.run, trial.number, on=job.provider), _MAX_LINES
                )
            except (CloudtuneError, OSError):  # it may be at a service that does not answer
                output = trial.log_tail.splitlines()
            metrics = [objective.metric for objective in job.study.objectives]
            lines = traceback_lines(output) or sample_lines("\n".join(output), metrics)
            reason = "" if trial.reason in reasons else f" {trial.reason}"
            if lines or reason:
                yield f"trial {trial.number} on {job.provider}:{reason}"
            yield from lines
            return
