"""The best trial of each group, and the distances between their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from cloudtune.comparison.distance import UnitScaler, gower_distance
from cloudtune.comparison.groups import Group
from cloudtune.results.model import best_trial
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
    """The distance between the best parameters of two groups."""

    left: str
    right: str
    distance: float | None
    """Gower's distance, from 0 to 1; None if the studies have different parameters."""


def best_trials(groups: Sequence[Group], goal: str) -> tuple[BestTrial, ...]:
    """Return the best trial of each group that has one."""
    result: list[BestTrial] = []
    for group in groups:
        candidates = [(job.run, top) for job in group.jobs if (top := best_trial(job.trials, goal))]
        top = best_trial([trial for _, trial in candidates], goal)
        if top is not None and top.objective:
            run = next(run for run, trial in candidates if trial is top)
            parameters = dict(top.parameters)
            result.append(BestTrial(group.label, run, top.number, top.objective[0], parameters))
    return tuple(result)


def parameter_distances(
    groups: Sequence[Group], trials: Sequence[BestTrial]
) -> tuple[ParameterDistance, ...]:
    """Return the distance between the parameters of each pair of best trials."""
    studies = {group.label: group.jobs[0].study for group in groups}
    distances: list[ParameterDistance] = []
    for left, right in combinations(trials, 2):
        distance: float | None = None
        study = studies[left.label]
        if study.parameters == studies[right.label].parameters:
            scaler = UnitScaler(study)
            ends = scaler.scale(left.parameters), scaler.scale(right.parameters)
            distance = gower_distance(scaler, *ends)
        distances.append(ParameterDistance(left.label, right.label, distance))
    return tuple(distances)
