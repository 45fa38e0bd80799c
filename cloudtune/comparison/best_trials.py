"""The best parameters of each group, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.distance import UnitScaler, gower_distance
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial, best_trial
from cloudtune.study.search_space import Value


@dataclass(frozen=True)
class BestTrial:
    """The best trial of a group."""

    label: str
    run: str
    number: int
    value: float
    parameters: dict[str, Value]


@dataclass(frozen=True)
class ParameterDistance:
    """How far apart the answers of two groups are: Gower's distance, from 0 to 1."""

    left: str
    right: str
    distance: float | None
    """None where their studies have different parameters."""


def best_trials(groups: Sequence[Group], goal: str) -> tuple[BestTrial, ...]:
    """Return the best trial of each group that has one."""
    found: list[BestTrial] = []
    for group in groups:
        tops = [(job.run, top) for job in group.jobs if (top := best_trial(job.trials, goal))]
        top = best_trial([trial for _, trial in tops], goal)
        if top is not None and top.objective:
            run = next(run for run, trial in tops if trial is top)
            found.append(BestTrial(group.label, run, top.number, top.objective[0], _plain(top)))
    return tuple(found)


def parameter_distances(
    groups: Sequence[Group], found: Sequence[BestTrial]
) -> tuple[ParameterDistance, ...]:
    """Return how far apart each two answers are."""
    by_label = {group.label: group for group in groups}
    pairs: list[ParameterDistance] = []
    for place, left in enumerate(found):
        for right in found[place + 1 :]:
            studies = [by_label[each.label].jobs[0].study for each in (left, right)]
            gap: float | None = None
            if studies[0].parameters == studies[1].parameters:
                positions = UnitScaler(studies[0])
                ends = positions.of(left.parameters), positions.of(right.parameters)
                gap = gower_distance(positions, *ends)
            pairs.append(ParameterDistance(left.label, right.label, gap))
    return tuple(pairs)


def _plain(trial: Trial) -> dict[str, Value]:
    return dict(trial.parameters)
