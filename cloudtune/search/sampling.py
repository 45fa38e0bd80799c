"""Complete assignments: sampled, completed from partial ones, or taken from earlier runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.search.axes import Axis
from cloudtune.search.protocol import Suggestion
from cloudtune.study.feasibility import draw_allowed
from cloudtune.study.search_space import Assignment, Space, Value, is_active, match_value
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

_INITIAL = "it is an initial trial of the study"
_REPEATED = "it is one of the best trials of an earlier run"


def trial_rng(seed: int, index: int) -> Random:
    """Return the random number generator of one trial, a function of seed and index."""
    return Random(f"{seed}:{index}")


def trial_seed(seed: int, index: int) -> int:
    """Return a 32-bit seed for one trial, for libraries with their own generators."""
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def complete_assignment(
    axes: Sequence[Axis], space: Space, partial: Assignment, rng: Random
) -> dict[str, Value]:
    """Return a value for each active parameter, sampled where the partial assignment has none.

    The assignment keeps the constraints between parameters.

    Raises:
        StudyError: If none was found that keeps them.
    """
    axis_of = {axis.node.key: axis for axis in axes}
    assignment = draw_allowed(space, lambda node, rng: axis_of[node.key].sample(rng), rng, partial)
    if assignment is None:
        message = "no assignment was found that keeps the constraints"
        raise StudyError([Problem("constraints", message, "loosen one of them")])
    return assignment


@dataclass(frozen=True)
class InitialTrials:
    """The study's initial trials, which come first and in order, completed by sampling."""

    trials: Sequence[Assignment]
    axes: Sequence[Axis]
    space: Space
    seed: int
    repeated: int = 0
    """How many of the last ones are the best of an earlier run."""

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Suggestion]:
        """Return them with complete assignments."""
        own = len(self) - self.repeated
        for index, trial in enumerate(self.trials):
            rng = trial_rng(self.seed, index)
            assignment = complete_assignment(self.axes, self.space, trial, rng)
            yield Suggestion(assignment, origin=_INITIAL if index < own else _REPEATED)


class PriorTrial(Protocol):
    """A finished trial of an earlier run."""

    @property
    def parameters(self) -> Mapping[str, Value]:
        """The assignment."""
        ...

    @property
    def objective(self) -> tuple[float, ...]:
        """One value for each objective of the new study."""
        ...

    @property
    def source(self) -> str:
        """The earlier run or file. Values of different sources need not have the same level."""
        ...


@dataclass(frozen=True)
class SearchInputs:
    """What a strategy is built from."""

    study: Study
    initial: InitialTrials
    prior: Sequence[PriorTrial] = ()
    """Finished trials of earlier runs, if the strategy learns from them."""
    max_trials: int | None = None
    """The number of assignments after which hyperband completes its last bracket."""

    @property
    def method(self) -> str:
        """The method; the default one if the study names none, and empty without methods."""
        strategy = self.study.strategy
        return strategy.method or next(iter(STRATEGIES[strategy.name].methods), "")


def filter_prior_trials(
    space: Space, objectives: int, prior: Sequence[PriorTrial]
) -> list[tuple[dict[str, Value], tuple[float, ...]]]:
    """Return assignment and objective values of the earlier trials that fit the space.

    A trial fits the space if it has a valid value for each active parameter and for no other, if it
    keeps the constraints between parameters, and if it has a finite value for each objective.
    Values are converted to the space's types.
    """
    matches: list[tuple[dict[str, Value], tuple[float, ...]]] = []
    for trial in prior:
        assignment: dict[str, Value] = {}
        for node in space.nodes:
            prior_value = trial.parameters.get(node.name)
            if prior_value is not None and is_active(node, assignment):
                value = match_value(node.parameter, prior_value)
                if value is not None:
                    assignment[node.name] = value
        values = tuple(trial.objective)
        if (
            assignment.keys() == trial.parameters.keys()
            and all(node.name in assignment for node in space.active_nodes(assignment))
            and space.allows(assignment)
            and len(values) == objectives
            and all(math.isfinite(value) for value in values)
        ):
            matches.append((assignment, values))
    return matches


def best_prior_assignments(
    space: Space, goals: Sequence[str], prior: Sequence[PriorTrial], count: int
) -> list[dict[str, Value]]:
    """Return the distinct assignments of the best earlier trials in the space, best first.

    With several objectives, trials are ordered by the sum of their ranks in each objective.
    """
    matches = filter_prior_trials(space, len(goals), prior)
    rank_sums = [0] * len(matches)
    for objective, goal in enumerate(goals):
        sign = -1 if goal == "maximize" else 1
        order = sorted(range(len(matches)), key=lambda i: sign * matches[i][1][objective])
        for rank, i in enumerate(order):
            rank_sums[i] += rank
    best: list[dict[str, Value]] = []
    for i in sorted(range(len(matches)), key=rank_sums.__getitem__):
        if len(best) < count and matches[i][0] not in best:
            best.append(matches[i][0])
    return best
