"""Pareto ranking of trials by several objectives. Lower scores are better.

A Pareto front holds the trials that no other trial dominates, the next front those of the
remaining trials, and so on. Within a front, trials are ordered in one of two ways:

- by crowding distance (NSGA-II, Deb and others, 2002, <https://doi.org/10.1109/4235.996017>): the
  farther apart a trial's neighbors are in each objective, the earlier it comes, extremes first;
- by niche (NSGA-III, Deb and Jain, 2014, <https://doi.org/10.1109/TEVC.2013.2281535>): each trial
  belongs to the nearest of evenly spread reference directions. The nearest trial of each direction
  comes first, then the second nearest of each, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""One row per trial, one column per objective."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _Front:
    """Trials that do not dominate each other, by ascending index."""

    indices: Indices
    scores: Scores


class ParetoFronts:
    """The first Pareto fronts of all trials so far, independent of the order of addition.

    Adding a trial never moves another one to an earlier front, so the fronts after the last one
    that is kept are not needed.
    """

    def __init__(self, count: int, objectives: int, *, by_niche: bool = False) -> None:
        """Track the best ``count`` trials, which the first ``count`` fronts contain."""
        self._count = count
        self._objectives = objectives
        self._directions = _reference_directions(objectives, count) if by_niche else None
        self._fronts: list[_Front] = []

    def add(self, index: int, scores: Sequence[float]) -> None:
        """Add a trial and move the trials that it dominates to later fronts."""
        moving = _Front(np.array([index]), np.array([scores], np.float64))
        rank = self._rank(moving.scores[0])
        while len(moving.indices) and rank < self._count:
            if rank == len(self._fronts):
                self._fronts.append(moving)
                return
            front = self._fronts[rank]
            dominated = np.zeros(len(front.indices), np.bool_)
            for other in moving.scores:
                dominated |= _dominates(other, front.scores)
            indices = np.concatenate([front.indices[~dominated], moving.indices])
            merged = np.concatenate([front.scores[~dominated], moving.scores])
            order = np.argsort(indices)
            self._fronts[rank] = _Front(indices[order], merged[order])
            moving = _Front(front.indices[dominated], front.scores[dominated])
            rank += 1

    def best(self) -> list[int]:
        """Return the indices of the best trials, best first."""
        indices, scores, ranks = self._leading_fronts()
        if self._directions is None:
            within = _negative_crowding_distance(scores, ranks)
        else:
            within = _niche_ranks(scores, ranks, self._directions)
        order = np.lexsort((indices, within, ranks))
        return [int(index) for index in indices[order[: self._count]]]

    def _rank(self, scores: Scores) -> int:
        """Return the first front without a dominating trial; the later ones have none either."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if _dominates(self._fronts[middle].scores, scores).any():
                low = middle + 1
            else:
                high = middle
        return low

    def _leading_fronts(self) -> tuple[Indices, Scores, Indices]:
        """Return indices, scores and ranks of the fewest fronts that have enough trials."""
        leading: list[_Front] = []
        for front in self._fronts:
            if sum(len(other.indices) for other in leading) >= self._count:
                break
            leading.append(front)
        if not leading:
            return np.empty(0, np.int64), np.empty((0, self._objectives)), np.empty(0, np.int64)
        return (
            np.concatenate([front.indices for front in leading]),
            np.concatenate([front.scores for front in leading]),
            np.repeat(np.arange(len(leading)), [len(front.indices) for front in leading]),
        )


def front_flags(scores: Scores) -> NDArray[np.bool_]:
    """Return which trials no other trial dominates. Of equal trials only the first counts."""
    no_worse = (scores[:, None] <= scores).all(axis=-1)
    equal = no_worse & no_worse.T
    return np.asarray(~((no_worse & ~equal) | np.triu(equal, 1)).any(axis=0), np.bool_)


def _dominates(left: Scores, right: Scores) -> NDArray[np.bool_]:
    """Return where left is no worse in any objective and better in one; broadcasts over trials."""
    return np.asarray((left <= right).all(axis=-1) & (left < right).any(axis=-1))


def _negative_crowding_distance(scores: Scores, ranks: Indices) -> Scores:
    distances = np.zeros(len(scores))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        for values in scores[members].T:
            order = members[np.argsort(values, kind="stable")]
            ascending = np.sort(values)
            distances[order[[0, -1]]] = np.inf
            if ascending[-1] > ascending[0]:
                distances[order[1:-1]] += (ascending[2:] - ascending[:-2]) / (
                    ascending[-1] - ascending[0]
                )
    return -distances


def _niche_ranks(scores: Scores, ranks: Indices, directions: Scores) -> Scores:
    """Return for each trial how many precede it in its niche."""
    low = scores.min(axis=0, initial=np.inf)
    span = scores.max(axis=0, initial=-np.inf) - low
    points = (scores - low) / np.where(span > 0, span, 1.0)
    projections = points @ directions.T
    distances = np.sqrt(np.maximum((points**2).sum(axis=1)[:, None] - projections**2, 0.0))
    niches, nearest = distances.argmin(axis=1), distances.min(axis=1)
    order = np.lexsort((nearest, ranks, niches))
    _, first, sizes = np.unique(niches[order], return_index=True, return_counts=True)
    preceding = np.zeros(len(scores))
    preceding[order] = np.arange(len(scores)) - np.repeat(first, sizes)
    return preceding


def _reference_directions(objectives: int, count: int) -> Scores:
    """Return at least ``count`` evenly spread unit vectors, as few as possible (Das and Dennis)."""
    parts, points = 1, np.eye(objectives)
    while objectives > 1 and len(points) < count:
        parts += 1
        bars = combinations(range(parts + objectives - 1), objectives - 1)
        edges = np.array([(-1, *bar, parts + objectives - 1) for bar in bars])
        points = np.diff(edges, axis=1) - 1.0
    lengths: Scores = np.linalg.norm(points, axis=1)
    return np.asarray(points / lengths[:, None], np.float64)
