"""The logs of the trials of a search."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import JobContext, Plan
from cloudtune.results import Trial
from cloudtune_watson.wmla.client import connect


def read_log(plan: Plan, context: JobContext, trial: Trial) -> Iterator[str]:
    """Return the lines of the log of a trial."""
    return iter(connect(plan, context).log(trial.id).splitlines())
