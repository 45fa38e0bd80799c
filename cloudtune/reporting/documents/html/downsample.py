"""The trials that charts draw if there are too many. Numbers always come from all trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cloudtune.comparison.curves import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial

_Item = TypeVar("_Item")
MAX_TRIALS = 1_500
"""Trials that are drawn as points, over all groups."""
_BEST_SHARE = 0.2
"""The share of a group's points that goes to its best trials."""


@dataclass(frozen=True)
class PlottedTrial:
    """A trial that is drawn."""

    label: str
    run: str
    trial: Trial
    values: tuple[float, ...]
    """The values of its objectives."""
    rank: float
    """The share of its group's trials that are at least as good in the first objective."""


def downsample(
    groups: Sequence[Group], goal: str, limit: int = MAX_TRIALS
) -> tuple[list[PlottedTrial], str]:
    """Return the trials to draw, and a note for the reader if these are not all."""
    group_limit = max(1, limit // max(1, len(groups)))
    ranked = [_rank(group, goal) for group in groups]
    plotted = [trial for trials in ranked for trial in _select(trials, group_limit)]
    total = sum(map(len, ranked))
    if len(plotted) == total:
        return plotted, ""
    note = (
        f"{len(plotted):,} of {total:,} trials are drawn: the best of each group and an even "
        "selection of the others. All numbers are computed from all trials."
    )
    return plotted, note


def _rank(group: Group, goal: str) -> list[PlottedTrial]:
    """Return a group's eligible trials, the best first."""
    sign = -1 if goal == "maximize" else 1
    ranked = [
        (sign * trial.objective[0], job.run, trial)
        for job in group.jobs
        for trial in eligible_trials(job.trials)
        if trial.objective
    ]
    ranked.sort(key=lambda each: (each[0], each[1], each[2].number))
    return [
        PlottedTrial(group.label, run, trial, trial.objective or (), position / len(ranked))
        for position, (_, run, trial) in enumerate(ranked, start=1)
    ]


def _select(ranked: list[PlottedTrial], limit: int) -> list[PlottedTrial]:
    if len(ranked) <= limit:
        return ranked
    best = int(limit * _BEST_SHARE)
    return ranked[:best] + select_evenly(ranked[best:], limit - best)


def select_evenly(items: list[_Item], limit: int) -> list[_Item]:
    """Return the items, or an even selection of them if there are more than the limit."""
    if len(items) <= limit:
        return items
    return [items[k * len(items) // limit] for k in range(limit)]
