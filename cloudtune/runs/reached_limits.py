"""The limits that end a job, so that it starts no more trials, and how to raise them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cloudtune.engine.job_limits import limit_of
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.model import Trial
from cloudtune.study.quantities import Money, format_duration
from cloudtune.study.study import Study


def ended_by_limit(record: RunRecord, job: JobRecord, trials: Sequence[Trial]) -> str:
    """Return that a limit or the target has ended a job, and how it goes on; empty if none has.

    Such a job ends again at once when it is resumed, unless its limits have changed since.
    """
    if job.has_new_limits:
        return ""
    name = limit_of(job.reason)
    if not job.reason or (job.state != "completed" and (job.state != "failed" or name is None)):
        return ""
    ended = f"run {record.id} has ended ({job.reason.partition('; set limits.')[0]})"
    if name is None:
        return f"{ended} and starts no more trials"
    return f"{ended}; to let it go on: {raise_limit(record, job, name, trials)}"


def raise_limit(
    record: RunRecord, job: JobRecord, name: str, trials: Sequence[Trial], least: int = 1
) -> str:
    """Return the command that raises a limit of a job; ``max_trials`` to at least a number."""
    study = Study.model_validate(record.study)
    if name in (study.providers.get(job.provider, {}).get("limits") or {}):
        return f"start a new one, since providers.{job.provider}.limits.{name} cannot be changed"
    value = str(least)
    if name == "max_failed_trials":
        value = str(2 * sum(trial.state == "failed" for trial in trials))
    elif name != "max_trials":
        value = _doubled(getattr(study.limits, name))
    return f"cloudtune set {record.id} {shlex.quote(f'limits.{name}={value}')}"


def _doubled(limit: float | Money) -> str:
    """Return twice a limit as in a study; a float is a duration."""
    if isinstance(limit, Money):
        return f"{2 * limit.amount:g} {limit.currency}"
    return str(2 * limit) if isinstance(limit, int) else format_duration(2 * limit)
