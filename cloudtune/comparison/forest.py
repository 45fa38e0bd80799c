"""A small random forest: how an objective depends on the parameters.

Trees split at random thresholds, as in extremely randomized trees (Geurts et al., 2006), and each
learns from a bootstrap sample. It is used instead of scikit-learn, whose import takes longer and
needs more memory than the rest of a report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Rows = NDArray[np.float64]
_Indices = NDArray[np.int64]
_Flags = NDArray[np.bool_]

TREES = 64
_MIN_LEAF = 3
_MAX_DEPTH = 16


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
    explained: float
    """The share of the variance of unseen rows that it explains (out-of-bag R2); at most 1."""

    def predict(self, rows: Rows) -> Rows:
        """Return the prediction for each row."""
        total = np.zeros(len(rows))
        for tree in self.trees:
            total += _predict(tree, rows)
        return total / len(self.trees)


def fit_forest(rows: Rows, targets: Rows, rng: Generator) -> Forest:
    """Return a forest that predicts targets, which are not all equal, from rows without nan."""
    count = len(rows)
    trees: list[_Split | float] = []
    sums, votes = np.zeros(count), np.zeros(count)
    for _ in range(TREES):
        drawn = rng.integers(0, count, count)
        tree = _grow(rows[drawn], targets[drawn], rng, 0)
        trees.append(tree)
        unseen = np.ones(count, np.bool_)
        unseen[drawn] = False
        sums[unseen] += _predict(tree, rows[unseen])
        votes[unseen] += 1
    known = votes > 0
    errors = targets[known] - sums[known] / votes[known]
    variance = float(np.var(targets[known]))
    explained = 1 - float(np.mean(errors**2)) / variance if variance else 0.0
    return Forest(tuple(trees), explained)


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
