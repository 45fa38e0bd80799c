"""The best value of a job after a number of trials, an amount of time, and an amount of money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from cloudtune.results.model import StudyResult, Trial, trial_rank

MIN_IDLE_SECONDS = 1.0
"""Shorter idle times are not reported."""


@dataclass(frozen=True)
class Improvement:
    """A new best value of a job."""

    trial: int
    """The number of the trial."""
    trials: int
    """The number of trials that had ended by then."""
    seconds: float
    """The time since the start of the job."""
    cost: float | None
    """The cost of the trials that had ended by then; None if one of their costs is unknown."""
    value: float


@dataclass(frozen=True)
class Curve:
    """The improvements of one objective in one job."""

    label: str
    run: str
    metric: str
    trials: int
    seconds: float | None
    cost: float | None
    idle_periods: Annotated[tuple[tuple[float, float], ...], Field(serialization_alias="pauses")]
    """When no process ran the job, in seconds since its start; empty if unknown."""
    points: tuple[Improvement, ...]


def eligible_trials(trials: Sequence[Trial], *, may_break: bool = False) -> list[Trial]:
    """Return the trials whose objectives count, ordered by end time.

    They keep all constraints, unless they may break those on metrics.

    These are the completed trials or, if none completed, those that were stopped early. The best
    trial of a search is chosen from the same trials.
    """
    measured = [
        each for each in trials if each.objective is not None and (may_break or not each.broken)
    ]
    for state in ("completed", "stopped_early"):
        eligible = [trial for trial in measured if trial.state == state]
        if eligible:
            return sorted(eligible, key=_end)
    return []


def counted_trials(job: StudyResult) -> list[Trial]:
    """Return the eligible trials of a job of which its best one is the best, ordered by end time.

    Trials that are better by the search do not count if its confirmations have passed them over.
    """
    trials, goal = eligible_trials(job.trials), job.study.objectives[0].goal
    if job.decision is None:
        return trials
    if (best := job.best) is None:
        return []
    return [each for each in trials if trial_rank(each, goal) >= trial_rank(best, goal)]


def best_so_far(
    job: StudyResult, index: int, goal: str, counted: Sequence[Trial] | None = None
) -> list[Improvement]:
    """Return the improvements of the objective at an index in a job, in order of time.

    Args:
        job: The job.
        index: The index of the objective.
        goal: Its goal.
        counted: The trials that count; by default, those that are eligible.
    """
    start = start_time(job)
    if start is None:
        return []
    better = max if goal == "maximize" else min
    counted = eligible_trials(job.trials) if counted is None else counted
    eligible = {trial.number for trial in counted}
    ended = [trial for trial in job.trials if trial.ended is not None]
    improvements: list[Improvement] = []
    cost: float | None = 0.0
    for count, trial in enumerate(sorted(ended, key=_end), start=1):
        cost = None if cost is None or trial.cost is None else cost + trial.cost.amount
        if trial.number not in eligible or trial.objective is None:
            continue
        value = trial.objective[index]
        best = improvements[-1].value if improvements else None
        if best is None or better(value, best) != best:
            seconds = max(0.0, _end(trial)[0] - start)
            improvements.append(Improvement(trial.number, count, seconds, cost, value))
    return improvements


def start_time(job: StudyResult) -> float | None:
    """Return when a job started; if that is unknown, when its first trial did."""
    if job.started is not None:
        return job.started
    return min((t.started for t in job.trials if t.started is not None), default=None)


def job_duration(job: StudyResult) -> float | None:
    """Return the seconds from a job's start to its end, or to its last trial while it runs."""
    start = start_time(job)
    end = job.ended or max((t.ended for t in job.trials if t.ended is not None), default=None)
    return None if start is None or end is None else max(0.0, end - start)


def idle_periods(job: StudyResult) -> tuple[tuple[float, float], ...]:
    """Return the periods in which no process ran a job, in seconds since its start.

    Only the total idle time is known. It is assigned to the longest gaps between trials. The result
    is empty if the gaps are too short, because trials were running at a service in that time.
    """
    start, remaining = start_time(job), job.idle or 0.0
    if start is None or remaining < MIN_IDLE_SECONDS:
        return ()
    end, gaps = start, list[tuple[float, float]]()
    spans = sorted((t.started, _last_seen(t)) for t in job.trials if t.started is not None)
    for span_start, span_end in [*spans, *([(job.ended, job.ended)] if job.ended else [])]:
        if span_start > end:
            gaps.append((end - start, span_start - start))
        end = max(end, span_end)
    periods: list[tuple[float, float]] = []
    for gap in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        if remaining < MIN_IDLE_SECONDS:
            break
        periods.append(gap)
        remaining -= gap[1] - gap[0]
    return tuple(sorted(periods)) if remaining < MIN_IDLE_SECONDS else ()


def _last_seen(trial: Trial) -> float:
    """Return when a trial is known to have run last.

    The recorded end of an interrupted trial is the time at which the run was resumed.
    """
    start = trial.started or 0.0
    if trial.state == "cancelled":
        return max([start, *(m.time for m in trial.measurements if m.time is not None)])
    return start if trial.ended is None else trial.ended


def _end(trial: Trial) -> tuple[float, int]:
    """Return when a trial ended, with its number.

    A trial that waits for more of its resource is stopped long after it ran: at the end of its job.
    """
    end = trial.ended or 0.0
    if trial.state == "stopped_early" and trial.resource is not None:
        end = min(end, max((m.time for m in trial.measurements if m.time is not None), default=end))
    return end, trial.number
