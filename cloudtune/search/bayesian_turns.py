"""Which of the two models of the strategy `bayesian` chooses a trial."""

from __future__ import annotations

from cloudtune.study.study import Study

_EQUAL_TURNS_FROM = 250
"""The trial from which on TPE chooses every second trial instead of every fourth."""


def is_second_turn(index: int) -> bool:
    """Return whether the second model chooses the trial with this index, from 0."""
    return index % (4 if index < _EQUAL_TURNS_FROM else 2) == 0


def describe_models(study: Study) -> str | None:
    """Return which models choose the trials, or None if the study names the method."""
    strategy = study.strategy
    if strategy.name != "bayesian" or strategy.method is not None:
        return None
    tpe = "a tree-structured Parzen estimator (tpe)"
    gp = "a Gaussian process (gp) chooses"
    if len(study.objectives) > 1:
        gp = "Gaussian processes (gp), one for each objective, choose"
    both = f"{gp} three trials in four, {tpe} the fourth"
    limit = study.limits.max_trials
    if limit is not None and limit <= _EQUAL_TURNS_FROM:
        return both
    return f"{both}; after {_EQUAL_TURNS_FROM} trials they alternate"
