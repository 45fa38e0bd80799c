"""The number of trials of a job that does not end early."""

from __future__ import annotations

from cloudtune.study.search_space import Space
from cloudtune.study.study import Study


def expected_trials(study: Study) -> int | None:
    """Return the number of trials that a job runs unless it ends early; None if unlimited."""
    limits = [study.limits.max_trials]
    if study.strategy.name == "grid":
        limits.append(Space.from_study(study).size)
    if study.strategy.name == "list":
        limits.append(len(study.initial_trials))
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None
