"""How good the best trial of a job was after so many trials, so much time and so much money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloudtune.results.model import StudyResult, Trial

MIN_IDLE_SECONDS = 1.0
"""Seconds in which nobody ran a job, from which on they are worth a word."""


@dataclass(frozen=True)
class Improvement:
    """A moment at which a job's best value became better."""

    trial: int
    """The number of the trial that did it."""
    trials: int
    """How many trials had ended by then."""
    seconds: float
    """How long after the start of the job."""
    cost: float | None
    """What the trials that had ended by then cost; None where that of one is not known."""
    value: float


def eligible_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials whose objectives count, by the time of their end.

    Those that completed; where none did, those that were stopped early. That is how the best trial
    of a job is chosen, too.
    """
    measured = [trial for trial in trials if trial.objective is not None]
    for state in ("completed", "stopped_early"):
        found = [trial for trial in measured if trial.state == state]
        if found:
            return sorted(found, key=_end)
    return []


def best_so_far(job: StudyResult, place: int, goal: str) -> list[Improvement]:
    """Return the moments at which a job's best value of one objective became better.

    Args:
        job: The job.
        place: The place of the objective among the study's.
        goal: Its goal.
    """
    begin = start_time(job)
    if begin is None:
        return []
    better = max if goal == "maximize" else min
    valid = {trial.number for trial in eligible_trials(job.trials)}
    points: list[Improvement] = []
    cost: float | None = 0.0
    for count, trial in enumerate(sorted(_ended(job.trials), key=_end), start=1):
        cost = None if cost is None or trial.cost is None else cost + trial.cost.amount
        if trial.number not in valid or trial.objective is None:
            continue
        value = trial.objective[place]
        if not points or better(value, points[-1].value) != points[-1].value:
            seconds = max(0.0, (trial.ended or begin) - begin)
            points.append(Improvement(trial.number, count, seconds, cost, value))
    return points


def start_time(job: StudyResult) -> float | None:
    """Return when a job started, or its first trial where that is not known."""
    if job.started is not None:
        return job.started
    return min((t.started for t in job.trials if t.started is not None), default=None)


def job_duration(job: StudyResult) -> float | None:
    """Return how long a job took, up to its last trial where it has not ended."""
    begin = start_time(job)
    end = job.ended or max((t.ended for t in job.trials if t.ended is not None), default=None)
    return None if begin is None or end is None else max(0.0, end - begin)


def idle_periods(job: StudyResult) -> tuple[tuple[float, float], ...]:
    """Return when nobody ran a job, in seconds since its start.

    Only their sum is known. Where they lie is told by the longest times without a trial, if these
    are long enough; a service's trials may have gone on meanwhile, then nothing is told.
    """
    begin, left = start_time(job), job.idle or 0.0
    if begin is None or left < MIN_IDLE_SECONDS:
        return ()
    end, gaps = begin, list[tuple[float, float]]()
    spans = sorted((t.started, _seen_until(t)) for t in job.trials if t.started is not None)
    for start, until in [*spans, *([(job.ended, job.ended)] if job.ended else [])]:
        if start > end:
            gaps.append((end - begin, start - begin))
        end = max(end, until)
    found: list[tuple[float, float]] = []
    for gap in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        if left < MIN_IDLE_SECONDS:
            break
        found.append(gap)
        left -= gap[1] - gap[0]
    return tuple(sorted(found)) if left < MIN_IDLE_SECONDS else ()


def _seen_until(trial: Trial) -> float:
    """Return when a trial surely ran; an interrupted one is ended by the process that goes on."""
    begin = trial.started or 0.0
    if trial.state == "cancelled":
        return max([begin, *(m.time for m in trial.measurements if m.time is not None)])
    return begin if trial.ended is None else trial.ended


def _ended(trials: Sequence[Trial]) -> Iterator[Trial]:
    return (trial for trial in trials if trial.ended is not None)


def _end(trial: Trial) -> tuple[float, int]:
    return trial.ended or 0.0, trial.number
