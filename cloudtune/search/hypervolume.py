"""The expected hypervolume improvement of assignments under independent normal predictions.

The hypervolume of a Pareto front is the volume that it dominates, up to a reference point. All
objectives are minimized.

- With two objectives the expectation is exact: the improvement is cut into the strips between the
  front's trials, and in each strip it is the product of the expected improvements of the two
  objectives (Emmerich and others, CEC 2011, <https://doi.org/10.1109/CEC.2011.5949880>).
- With more objectives it is the mean over random directions of the expected improvement along the
  direction. In expectation over all directions this is the hypervolume (Golovin and Zhang, 2020,
  <https://arxiv.org/abs/2006.04655>).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.random import Generator

from cloudtune.search.gaussian_process import FloatArray, log_expected_improvement

Prediction = tuple[FloatArray, FloatArray]
"""The mean and the standard deviation of one objective for each assignment."""

_LOW, _HIGH, _CELLS = -38.0, 10.0, 128
"""The bounds of the tabulated functions in standard deviations, and the cells in one of them."""
_DIRECTIONS, _NODES = 12, 6
_TINY = 1e-300


class ExpectedImprovement:
    """Rates assignments by their expected improvement on a Pareto front."""

    def __init__(self, front: FloatArray, reference: FloatArray, rng: Generator) -> None:
        """Set the front, one row per trial, and the reference point, which is no better."""
        self._front = front[np.argsort(front[:, 0], kind="stable")]
        self._reference = reference
        directions = np.abs(rng.standard_normal((_DIRECTIONS, len(reference))))
        self._directions = directions / np.linalg.norm(directions, axis=1)[:, None]

    def log(self, predictions: Sequence[Prediction]) -> FloatArray:
        """Return the logarithm of the expected improvement of each assignment."""
        if len(predictions) == 2:
            improvement = self._by_strips(*predictions)
        else:
            improvement = self._by_directions(predictions)
        return np.asarray(np.log(np.maximum(improvement, _TINY)), np.float64)

    def _by_strips(self, first: Prediction, second: Prediction) -> FloatArray:
        right = np.append(self._front[:, 0], self._reference[0])
        height = np.append(self._reference[1], self._front[:, 1])
        # An expected improvement is the integral of the probability to be left of a bound.
        widths = np.diff(_expected_improvement(right, first), axis=1, prepend=0.0)
        improvements = np.maximum(widths, 0.0) * _expected_improvement(height, second)
        return np.asarray(improvements.sum(axis=1), np.float64)

    def _by_directions(self, predictions: Sequence[Prediction]) -> FloatArray:
        """Integrate the probability to dominate the points of each direction beyond the front."""
        means, deviations = (np.stack(part, axis=1) for part in zip(*predictions, strict=True))
        gaps = (self._reference - self._front)[:, None, :] / self._directions
        start = np.maximum(gaps.min(axis=2).max(axis=0), 0.0)
        ideal = (means - 3 * deviations).min(axis=0)
        end = np.maximum(((self._reference - ideal) / self._directions).min(axis=1), start)
        total = np.zeros(len(means))
        for node, weight in zip(*np.polynomial.legendre.leggauss(_NODES), strict=True):
            lengths = start + (end - start) * (node + 1) / 2
            factors = weight * (end - start) * lengths ** (len(predictions) - 1)
            bounds = self._reference - lengths[:, None] * self._directions
            probability = np.ones((len(means), _DIRECTIONS))
            for i in range(len(predictions)):
                z = (bounds[:, i] - means[:, i, None]) / deviations[:, i, None]
                probability *= np.exp(_look_up(_log_tables()[0], z))
            total += probability @ factors
        return total


def reference_point(points: FloatArray, values: FloatArray) -> FloatArray:
    """Return a point slightly worse than the worst of some points in each objective.

    An objective in which these points are practically equal has the worst of all values instead.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    is_flat = high - low <= 1e-3 * np.ptp(values, axis=0)
    bound = np.asarray(np.where(is_flat, values.max(axis=0), high), np.float64)
    return np.asarray(bound + 0.1 * (bound - low), np.float64)


def _expected_improvement(bounds: FloatArray, prediction: Prediction) -> FloatArray:
    """Return the expected improvement on each bound, one row per assignment."""
    mean, deviation = (part[:, None] for part in prediction)
    z = (bounds - mean) / deviation
    return np.where(z > _HIGH, z, np.exp(_look_up(_log_tables()[1], z))) * deviation


def _look_up(table: FloatArray, z: FloatArray) -> FloatArray:
    """Interpolate a table linearly; its error is below 1e-5 in the logarithm."""
    places = np.clip((z - _LOW) * _CELLS, 0.0, len(table) - 1.001)
    left = places.astype(np.int64)
    start = table[left]
    return np.asarray(start + (places - left) * (table[left + 1] - start), np.float64)


@cache
def _log_tables() -> tuple[FloatArray, FloatArray]:
    """Return the logarithms of the standard normal distribution and of its integral."""
    grid = np.arange(round((_HIGH - _LOW) * _CELLS) + 1) / _CELLS + _LOW
    tail = [max(math.erfc(-z / math.sqrt(2)) / 2, _TINY) for z in grid]
    return np.log(tail), log_expected_improvement(0.0, -grid, np.ones(len(grid)))
