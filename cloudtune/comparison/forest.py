"""A small forest of boosted trees: how an objective depends on the parameters.

Each tree learns what the earlier ones leave unexplained, from a part of the rows, as in stochastic
gradient boosting (Friedman, 2002). Averages of independent trees flatten weak effects. Trees split
at random thresholds, as in extremely randomized trees (Geurts et al., 2006). It is used instead of
scikit-learn, whose import takes longer and needs more memory than the rest of a report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Rows = NDArray[np.float64]
_Indices = NDArray[np.int64]
_Flags = NDArray[np.bool_]

_FOLDS = 4
"""Forests, each of which learns from all rows but those of its fold."""
_ROUNDS = 60
"""Trees of each fold."""
_RATE = 0.15
"""How much of what is unexplained one tree adds."""
_SAMPLE = 0.7
"""The share of its rows from which one tree learns."""
_MIN_LEAF = 2
_MAX_DEPTH = 4


@dataclass(frozen=True)
class _Split:
    column: int
    threshold: float
    low: _Split | float
    high: _Split | float


@dataclass(frozen=True)
class Forest:
    """A fitted forest."""

    trees: tuple[_Split | float, ...]
    """The trees of all folds."""
    mean: float
    """The prediction without trees."""
    explained: float
    """The share of the variance of unseen rows that it explains (cross-validated R2); at most 1."""

    def predict(self, rows: Rows) -> Rows:
        """Return the prediction for each row: the mean of those of the folds."""
        total = np.zeros(len(rows))
        for tree in self.trees:
            total += _predict(tree, rows)
        return self.mean + total * _RATE / _FOLDS


def fit_forest(rows: Rows, targets: Rows, rng: Generator) -> Forest:
    """Return a forest that predicts targets, which are not all equal, from rows without nan."""
    count = len(rows)
    fold = rng.permutation(count) % _FOLDS
    trees: list[_Split | float] = []
    means: list[float] = []
    errors = np.zeros(count)
    for number in range(_FOLDS):
        known: _Indices = np.flatnonzero(fold != number)
        size = min(len(known), max(2 * _MIN_LEAF, int(_SAMPLE * len(known))))
        mean = float(targets[known].mean())
        unexplained: Rows = targets - mean
        for _ in range(_ROUNDS):
            drawn = rng.choice(known, size, replace=False)
            tree = _grow(rows[drawn], unexplained[drawn], rng, 0)
            unexplained = unexplained - _RATE * _predict(tree, rows)
            trees.append(tree)
        means.append(mean)
        unseen: _Flags = fold == number
        errors[unseen] = unexplained[unseen]
    explained = 1 - float(np.mean(errors**2)) / float(np.var(targets))
    return Forest(tuple(trees), float(np.mean(means)), explained)


def _grow(rows: Rows, targets: Rows, rng: Generator, depth: int) -> _Split | float:
    count = len(rows)
    mean = float(targets.mean())
    if count < 2 * _MIN_LEAF or depth >= _MAX_DEPTH:
        return mean
    lows: Rows = rows.min(axis=0)
    highs: Rows = rows.max(axis=0)
    thresholds: Rows = lows + rng.random(len(lows)) * (highs - lows)
    above: _Flags = rows > thresholds
    sizes: _Indices = above.sum(axis=0)
    valid = (sizes >= _MIN_LEAF) & (sizes <= count - _MIN_LEAF)
    if not valid.any():
        return mean
    sums: Rows = (targets - mean) @ above.astype(np.float64)
    # The reduction of the squared error: the sums of both sides cancel.
    weights: Rows = 1 / np.maximum(sizes, 1) + 1 / np.maximum(count - sizes, 1)
    gains: Rows = np.where(valid, sums**2 * weights, -1)
    column = int(gains.argmax())
    if gains[column] <= 1e-12:
        return mean
    side: _Flags = above[:, column]
    return _Split(
        column,
        float(thresholds[column]),
        _grow(rows[~side], targets[~side], rng, depth + 1),
        _grow(rows[side], targets[side], rng, depth + 1),
    )


def _predict(tree: _Split | float, rows: Rows) -> Rows:
    result = np.empty(len(rows))
    pending: list[tuple[_Split | float, _Indices]] = [(tree, np.arange(len(rows)))]
    while pending:
        node, indices = pending.pop()
        if isinstance(node, _Split):
            side = rows[indices, node.column] > node.threshold
            pending += [(node.low, indices[~side]), (node.high, indices[side])]
        else:
            result[indices] = node
    return result
