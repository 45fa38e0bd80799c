"""Which of some trials are the best by several objectives at once; the lower a score, the better.

A front are the trials that no other of those left is better than in every objective: the first one
of all trials, the next one of those behind it. Within a front two orders are known:

- by crowding (NSGA-II, Deb and others, 2002, <https://doi.org/10.1109/4235.996017>): the further a
  trial's neighbours lie in each objective, the earlier it comes, the outermost first;
- by niche (NSGA-III, Deb and Jain, 2014, <https://doi.org/10.1109/TEVC.2013.2281535>): directions
  are spread evenly over the objectives, each trial belongs to the nearest one, and the nearest
  trial of each direction comes first, then the second of each, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""A row a trial, a column an objective."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _Front:
    """Trials of which none is better than another in every objective, by rising draw."""

    draws: Indices
    scores: Scores


class ParetoFronts:
    """The first fronts of all trials so far, whatever the order in which they were added.

    A trial never moves to an earlier front when another is added, so those behind the last one
    kept are never missed.
    """

    def __init__(self, count: int, objectives: int, *, by_niche: bool = False) -> None:
        """Prepare to find the best ``count`` trials: that many fronts have as many."""
        self._count = count
        self._objectives = objectives
        self._directions = _reference_directions(objectives, count) if by_niche else None
        self._fronts: list[_Front] = []

    def add(self, draw: int, scores: Sequence[float]) -> None:
        """Take note of a trial, which moves those that it surpasses to later fronts."""
        moving = _Front(np.array([draw]), np.array([scores], np.float64))
        place = self._place(moving.scores[0])
        while len(moving.draws) and place < self._count:
            if place == len(self._fronts):
                self._fronts.append(moving)
                return
            front = self._fronts[place]
            behind = np.zeros(len(front.draws), np.bool_)
            for other in moving.scores:
                behind |= _dominates(other, front.scores)
            draws = np.concatenate([front.draws[~behind], moving.draws])
            scores_now = np.concatenate([front.scores[~behind], moving.scores])
            order = np.argsort(draws)
            self._fronts[place] = _Front(draws[order], scores_now[order])
            moving = _Front(front.draws[behind], front.scores[behind])
            place += 1

    def best(self) -> list[int]:
        """Return the draws of the best trials, best first."""
        draws, scores, fronts = self._first()
        if self._directions is None:
            within = _negative_crowding_distance(scores, fronts)
        else:
            within = _niche_ranks(scores, fronts, self._directions)
        order = np.lexsort((draws, within, fronts))
        return [int(draw) for draw in draws[order[: self._count]]]

    def _place(self, scores: Scores) -> int:
        """Return the first front that has no trial better than one: all later ones have none."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if _dominates(self._fronts[middle].scores, scores).any():
                low = middle + 1
            else:
                high = middle
        return low

    def _first(self) -> tuple[Indices, Scores, Indices]:
        """Return draws, scores and front of the first fronts that have enough trials."""
        taken: list[_Front] = []
        for front in self._fronts:
            if sum(len(other.draws) for other in taken) >= self._count:
                break
            taken.append(front)
        if not taken:
            return np.empty(0, np.int64), np.empty((0, self._objectives)), np.empty(0, np.int64)
        return (
            np.concatenate([front.draws for front in taken]),
            np.concatenate([front.scores for front in taken]),
            np.repeat(np.arange(len(taken)), [len(front.draws) for front in taken]),
        )


def _dominates(left: Scores, right: Scores) -> NDArray[np.bool_]:
    """Tell where left is better in some objective and worse in none; one side may be one trial."""
    return np.asarray((left <= right).all(axis=-1) & (left < right).any(axis=-1))


def _negative_crowding_distance(scores: Scores, fronts: Indices) -> Scores:
    """Return for each trial a number that is the lower, the further its neighbours are apart."""
    apart = np.zeros(len(scores))
    for front in np.unique(fronts):
        members = np.flatnonzero(fronts == front)
        for values in scores[members].T:
            order = members[np.argsort(values, kind="stable")]
            ranked = np.sort(values)
            apart[order[[0, -1]]] = np.inf
            if ranked[-1] > ranked[0]:
                apart[order[1:-1]] += (ranked[2:] - ranked[:-2]) / (ranked[-1] - ranked[0])
    return -apart


def _niche_ranks(scores: Scores, fronts: Indices, directions: Scores) -> Scores:
    """Return for each trial how many come before it in its niche."""
    low = scores.min(axis=0, initial=np.inf)
    span = scores.max(axis=0, initial=-np.inf) - low
    points = (scores - low) / np.where(span > 0, span, 1.0)
    along = points @ directions.T
    away = np.sqrt(np.maximum((points**2).sum(axis=1)[:, None] - along**2, 0.0))
    niches, distances = away.argmin(axis=1), away.min(axis=1)
    order = np.lexsort((distances, fronts, niches))
    _, first, sizes = np.unique(niches[order], return_index=True, return_counts=True)
    before = np.zeros(len(scores))
    before[order] = np.arange(len(scores)) - np.repeat(first, sizes)
    return before


def _reference_directions(objectives: int, count: int) -> Scores:
    """Return evenly spread directions of length 1, as few as reach a count (Das and Dennis)."""
    parts, found = 1, np.eye(objectives)
    while objectives > 1 and len(found) < count:
        parts += 1
        bars = combinations(range(parts + objectives - 1), objectives - 1)
        edges = np.array([(-1, *bar, parts + objectives - 1) for bar in bars])
        found = np.diff(edges, axis=1) - 1.0
    lengths: Scores = np.linalg.norm(found, axis=1)
    return np.asarray(found / lengths[:, None], np.float64)
