"""The best trial of each group, their distances, and the Pareto front over all groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from cloudtune.comparison.curves import counted_trials
from cloudtune.comparison.distance import gower_distance
from cloudtune.comparison.groups import Group
from cloudtune.results.model import best_trial, pareto_front
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


@dataclass(frozen=True)
class FrontTrial:
    """A trial on the common Pareto front."""

    label: str
    run: str
    number: int
    objective: tuple[float, ...]
    parameters: dict[str, Value]


def best_trials(groups: Sequence[Group], goal: str) -> tuple[BestTrial, ...]:
    """Return the best trial of each group that has one."""
    result: list[BestTrial] = []
    for group in groups:
        tops = [
            (job.run, top) for job in group.jobs if (top := best_trial(counted_trials(job), goal))
        ]
        best = best_trial([top for _, top in tops], goal)
        for run, top in tops:
            if top is best and top.objective:
                value, parameters = top.objective[0], dict(top.parameters)
                result.append(BestTrial(group.label, run, top.number, value, parameters))
    return tuple(result)


def parameter_distances(
    groups: Sequence[Group], trials: Sequence[BestTrial]
) -> tuple[ParameterDistance, ...]:
    """Return the distance between the parameters of each pair of best trials."""
    studies = {group.label: group.jobs[0].study for group in groups}
    return tuple(
        ParameterDistance(
            left.label,
            right.label,
            gower_distance(studies[left.label], left.parameters, right.parameters)
            if studies[left.label].parameters == studies[right.label].parameters
            else None,
        )
        for left, right in combinations(trials, 2)
    )


def common_front(groups: Sequence[Group], goals: Sequence[str]) -> tuple[FrontTrial, ...]:
    """Return the completed trials that no trial of any group is better than in every objective."""
    candidates = [
        (trial, group.label, job.run)
        for group in groups
        for job in group.jobs
        for trial in pareto_front(job.trials, goals)
    ]
    origin = {id(trial): (label, run) for trial, label, run in candidates}
    return tuple(
        FrontTrial(*origin[id(trial)], trial.number, trial.objective or (), dict(trial.parameters))
        for trial in pareto_front([trial for trial, *_ in candidates], goals)
    )
