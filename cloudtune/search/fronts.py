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

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""A row a trial, a column an objective."""
Places = NDArray[np.int64]


def by_crowding(scores: Scores) -> Places:
    """Return the places of the trials, best first."""
    return _ordered(scores, -_crowding(scores, _fronts(scores)))


def by_niche(scores: Scores) -> Places:
    """Return the places of the trials, best first."""
    return _ordered(scores, _niches(scores))


def _ordered(scores: Scores, within: Scores) -> Places:
    return np.lexsort((np.arange(len(scores)), within, _fronts(scores)))


def _fronts(scores: Scores) -> Places:
    """Return the front of each trial, the first one 0."""
    if scores.shape[1] == 1:
        return np.unique(scores[:, 0], return_inverse=True)[1]
    no_worse = (scores[:, None] <= scores[None]).all(axis=2)
    better = no_worse & (scores[:, None] < scores[None]).any(axis=2)
    fronts = np.full(len(scores), -1)
    while (left := fronts < 0).any():
        fronts[left & ~better[left].any(axis=0)] = fronts.max() + 1
    return fronts


def _crowding(scores: Scores, fronts: Places) -> Scores:
    """Return how far each trial's neighbours in its front are apart, in shares of its range."""
    apart = np.zeros(len(scores))
    for front in np.unique(fronts):
        members = np.flatnonzero(fronts == front)
        for values in scores[members].T:
            order = members[np.argsort(values, kind="stable")]
            ranked = np.sort(values)
            apart[order[[0, -1]]] = np.inf
            if ranked[-1] > ranked[0]:
                apart[order[1:-1]] += (ranked[2:] - ranked[:-2]) / (ranked[-1] - ranked[0])
    return apart


def _niches(scores: Scores) -> Scores:
    """Return for each trial how many come before it in its niche."""
    low = scores.min(axis=0)
    span = scores.max(axis=0) - low
    points = (scores - low) / np.where(span > 0, span, 1.0)
    ways = _directions(scores.shape[1], len(scores))
    along = points @ ways.T
    away = np.sqrt(np.maximum((points**2).sum(axis=1)[:, None] - along**2, 0.0))
    niche, distance = away.argmin(axis=1), away.min(axis=1)
    places = np.zeros(len(scores))
    before = np.zeros(len(ways))
    for member in np.lexsort((distance, _fronts(scores))):
        places[member] = before[niche[member]]
        before[niche[member]] += 1
    return places


def _directions(objectives: int, count: int) -> Scores:
    """Return evenly spread directions of length 1, as few as reach a count (Das and Dennis)."""
    parts, found = 1, np.eye(objectives)
    while objectives > 1 and len(found) < count:
        parts += 1
        bars = combinations(range(parts + objectives - 1), objectives - 1)
        edges = np.array([(-1, *bar, parts + objectives - 1) for bar in bars])
        found = np.diff(edges, axis=1) - 1.0
    return found / np.linalg.norm(found, axis=1)[:, None]
