"""What is left of the limits of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.results.model import StudyResult


@dataclass(frozen=True)
class Left:
    """What is left of the limits; None where there is no limit."""

    trials: int | None
    seconds: float | None
    cost: float | None
    currency: str | None


def what_is_left(job: StudyResult, jobs: Sequence[StudyResult], now: float | None) -> Left:
    """Return what is left of the limits of a job.

    Args:
        job: The job.
        jobs: All jobs of its run, which share its budget.
        now: The time of the clock if a process runs the job, or its service does; else None.
    """
    limits = job.study.limits_for(job.provider)
    counted = sum(trial.state != "cancelled" for trial in job.trials)
    trials = None if limits.max_trials is None else max(0, limits.max_trials - counted)
    if trials and job.confirmation and job.state == "completed":
        trials = 0  # the rest was not needed to decide
    seconds = None
    if limits.timeout is not None and job.started is not None:
        last = max((t.ended for t in job.trials if t.ended is not None), default=job.started)
        end = job.ended or (now if now is not None and job.state == "running" else last)
        seconds = max(0.0, limits.timeout - (end - job.started - (job.idle or 0.0)))
    shared = job.study.limits.max_cost
    budgets = [(shared, jobs)] if shared else []
    if limits.max_cost and limits.max_cost != shared:
        budgets.append((limits.max_cost, [job]))
    costs = [max(0.0, limit.amount - _spent(charged, limit.currency)) for limit, charged in budgets]
    currency = budgets[0][0].currency if budgets else None
    return Left(trials, seconds, min(costs, default=None), currency)


def _spent(jobs: Sequence[StudyResult], currency: str) -> float:
    costs = [trial.cost for job in jobs for trial in job.trials if trial.cost]
    return sum(cost.amount for cost in costs if cost.currency == currency)
