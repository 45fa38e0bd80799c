"""Complete assignments: drawn by chance, filled up, or found in earlier trials."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from cloudtune.search.axes import Axis
from cloudtune.study.search_space import Assignment, Space, Value, is_active, match_value


def trial_rng(seed: int, draw: int) -> Random:
    """Return the random numbers of one draw: they derive from the seed and the draw alone."""
    return Random(f"{seed}:{draw}")


def trial_seed(seed: int, draw: int) -> int:
    """Return the seed of one draw for libraries that take 32 bits."""
    digest = hashlib.sha256(f"{seed}:{draw}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def complete_assignment(
    axes: Sequence[Axis], given: Assignment, random: Random
) -> dict[str, Value]:
    """Return every active parameter: as given, else by chance."""
    known: dict[str, Value] = {}
    for axis in axes:
        if is_active(axis.node, known):
            name = axis.node.name
            # A value is drawn in any case, so that what is given changes no other value.
            drawn = axis.draw(random)
            value = match_value(axis.node.parameter, given[name]) if name in given else drawn
            known[name] = given[name] if value is None else value
    return known


@dataclass(frozen=True)
class InitialTrials:
    """The study's initial trials: the first draws, in order, what is missing drawn by chance."""

    trials: Sequence[Assignment]
    axes: Sequence[Axis]
    seed: int

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.trials)

    def assignment(self, draw: int) -> dict[str, Value]:
        """Return the complete assignment of a draw below the length."""
        return complete_assignment(self.axes, self.trials[draw], trial_rng(self.seed, draw))


class PriorTrial(Protocol):
    """A finished trial of an earlier run."""

    @property
    def parameters(self) -> Mapping[str, Value]:
        """Its assignment."""
        ...

    @property
    def objective(self) -> tuple[float, ...]:
        """One value an objective of the new study."""
        ...


def filter_prior_trials(
    space: Space, objectives: int, prior: Sequence[PriorTrial]
) -> list[tuple[dict[str, Value], tuple[float, ...]]]:
    """Return the earlier trials that the space has, in its own types; the others are left out.

    The space has a trial if it gives each active parameter one of its values and names no other,
    and if each objective is a finite number.
    """
    found: list[tuple[dict[str, Value], tuple[float, ...]]] = []
    for observation in prior:
        known: dict[str, Value] = {}
        for node in space.nodes:
            given = observation.parameters.get(node.name)
            if given is not None and is_active(node, known):
                value = match_value(node.parameter, given)
                if value is not None:
                    known[node.name] = value
        values = tuple(observation.objective)
        if (
            known.keys() == observation.parameters.keys()
            and all(node.name in known for node in space.active_nodes(known))
            and len(values) == objectives
            and all(math.isfinite(value) for value in values)
        ):
            found.append((known, values))
    return found


def best_prior_assignments(
    space: Space, goals: Sequence[str], prior: Sequence[PriorTrial], count: int
) -> list[dict[str, Value]]:
    """Return the assignments of the best earlier trials that the space has, the best first.

    With several objectives the best is the one with the smallest sum of its ranks in each.
    """
    known = filter_prior_trials(space, len(goals), prior)
    ranks = [0] * len(known)
    for place, goal in enumerate(goals):
        sign = -1 if goal == "maximize" else 1
        order = sorted(range(len(known)), key=lambda i: sign * known[i][1][place])
        for rank, i in enumerate(order):
            ranks[i] += rank
    found: list[dict[str, Value]] = []
    for i in sorted(range(len(known)), key=ranks.__getitem__):
        if len(found) < count and known[i][0] not in found:
            found.append(known[i][0])
    return found
