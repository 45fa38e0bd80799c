"""The number of trials of a job that does not end early."""

from __future__ import annotations

from cloudtune.study.search_space import Space
from cloudtune.study.study import Study


def expected_trials(study: Study) -> int | None:
    """Return the number of trials that a job runs unless it ends early; None if unlimited."""
    limits = (study.limits.max_trials, strategy_trials(study))
    return min((limit for limit in limits if limit is not None), default=None)


def strategy_trials(study: Study) -> int | None:
    """Return the number of trials after which the strategy ends by itself; None if it does not."""
    if study.strategy.name == "grid":
        return Space.from_study(study).size
    return len(study.initial_trials) if study.strategy.name == "list" else None
