"""The rungs of hyperband: the amounts of the resource at which trials are compared."""

from __future__ import annotations

from cloudtune.study.study import Study

DEFAULT_ETA = 3


def rung_levels(minimum: int, maximum: int, eta: int) -> tuple[int, ...]:
    """Return the amounts of the resource at which trials are compared, up to the maximum.

    The last amount is ``eta`` times the one before or a little more, never less.
    """
    amounts: list[int] = []
    amount = minimum
    while amount * eta <= maximum:
        amounts.append(amount)
        amount *= eta
    return (*amounts, maximum)


def starting_rung(index: int, rungs: int, lowest: int = 0) -> int:
    """Return the rung at which a trial starts: each but the last in turn, from high to low.

    Rungs below ``lowest`` are left out.
    """
    brackets = max(rungs - 1 - lowest, 1)
    return lowest + brackets - 1 - index % brackets


def max_starts(study: Study) -> int:
    """Return how often a trial of a study starts unless it is lost: at rungs, and for memory."""
    has_resource = study.strategy.name == "hyperband" and study.strategy.resource
    rungs = len(study_rungs(study)) if has_resource else 1
    return rungs + (study.trial.retry.times if study.trial.retry else 0)


def study_rungs(study: Study) -> tuple[int, ...]:
    """Return the rungs of a study with strategy hyperband."""
    strategy = study.strategy
    assert strategy.max is not None, "hyperband needs max, which is checked at loading"
    minimum = strategy.min or 1
    return rung_levels(minimum, max(strategy.max, minimum), strategy.eta or DEFAULT_ETA)
