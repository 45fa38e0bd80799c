"""Which trials are drawn where there are too many for a picture. Numbers come from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.best_so_far import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial

MAX_TRIALS = 1_500
"""Trials that are drawn as points, over all groups."""
_SHARE_OF_BEST = 0.2
"""How much of a group's part is kept for its best trials."""


@dataclass(frozen=True)
class PlottedTrial:
    """A trial that is drawn."""

    label: str
    run: str
    trial: Trial
    values: tuple[float, ...]
    """Its objectives."""
    rank: float
    """Which share of its group's trials is at least as good in the first objective."""


def downsample(
    groups: Sequence[Group], goal: str, most: int = MAX_TRIALS
) -> tuple[list[PlottedTrial], str]:
    """Return the trials that are drawn, and what a reader must know of the others.

    Args:
        groups: Those that are compared.
        goal: The goal of the first objective.
        most: How many trials are drawn at most.
    """
    part = max(1, most // max(1, len(groups)))
    found: list[PlottedTrial] = []
    whole = 0
    for group in groups:
        ranked = _ranked(group, goal)
        whole += len(ranked)
        found += _thinned(ranked, part)
    if len(found) == whole:
        return found, ""
    note = (
        f"{len(found):,} of {whole:,} trials are drawn: the best of each group and an even "
        "selection of the others. All numbers are computed from all trials."
    )
    return found, note


def _ranked(group: Group, goal: str) -> list[PlottedTrial]:
    """Return a group's trials that count, the best first."""
    sign = -1 if goal == "maximize" else 1
    found = [
        (sign * trial.objective[0], job.run, trial)
        for job in group.jobs
        for trial in eligible_trials(job.trials)
        if trial.objective
    ]
    found.sort(key=lambda each: (each[0], each[1], each[2].number))
    return [
        PlottedTrial(group.label, run, trial, trial.objective or (), (place + 1) / len(found))
        for place, (_, run, trial) in enumerate(found)
    ]


def _thinned(ranked: list[PlottedTrial], most: int) -> list[PlottedTrial]:
    if len(ranked) <= most:
        return ranked
    best = int(most * _SHARE_OF_BEST)
    rest, count = ranked[best:], most - best
    return ranked[:best] + [rest[k * len(rest) // count] for k in range(count)]
