"""The Pareto front over the trials of all groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial, pareto_front
from cloudtune.study.search_space import Value


@dataclass(frozen=True)
class FrontTrial:
    """A trial on the common Pareto front."""

    label: str
    run: str
    number: int
    objective: tuple[float, ...]
    parameters: dict[str, Value]


def common_front(groups: Sequence[Group], goals: Sequence[str]) -> tuple[FrontTrial, ...]:
    """Return the completed trials that no trial of any group is better than in every objective."""
    origin: dict[int, tuple[str, str]] = {}
    candidates: list[Trial] = []
    for group in groups:
        for job in group.jobs:
            for trial in pareto_front(job.trials, goals):
                origin[id(trial)] = group.label, job.run
                candidates.append(trial)
    return tuple(
        FrontTrial(*origin[id(trial)], trial.number, trial.objective or (), dict(trial.parameters))
        for trial in pareto_front(candidates, goals)
    )
