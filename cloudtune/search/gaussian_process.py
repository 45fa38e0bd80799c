"""A Gaussian process over rows of an encoded space, on numpy alone.

The kernel is a Matérn 5/2 of one distance: each ordered column adds its squared difference, each
category column 1 where two rows differ, both times a weight of the column; an inactive ordered
column counts as the middle of its range, an inactive category as one more. So rows under different
conditions are apart by their parents and by what only one of them has. Rasmussen and Williams,
*Gaussian Processes for Machine Learning*, chapters 2 and 5, <https://gaussianprocess.org/gpml/>.

The weights, the variance and the noise (the shape) are those of the highest posterior density. The
prior makes length scales grow with the root of the number of columns (Hvarfner and others, ICML
2024, <https://arxiv.org/abs/2402.02229>). The constant mean is the one of the highest likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cloudtune.search.encoding import Rows

FloatArray = NDArray[np.float64]

_WEIGHT, _WEIGHT_SPREAD = 1.4, 2.0
"""Of one column: a length scale of half its range."""
_NOISE, _NOISE_SPREAD = math.log(3e-3), 2.0
_LEAST_NOISE = 1e-6
_LONGEST_STEP = 2.0
"""How far a logarithm of the shape may go in one step."""


class KernelFitter:
    """Finds the weight of each column, the variance and the noise, as logarithms in one array."""

    def __init__(self, categories: Sequence[int]) -> None:
        """Take the number of categories of each column, 0 where its values have an order."""
        self._categories = categories
        width = len(categories)
        weight = _WEIGHT - math.log(max(width, 1))
        self.typical: FloatArray = np.array([weight] * width + [0.0, _NOISE])
        """The prior's median."""
        self._spread = np.array([_WEIGHT_SPREAD] * width + [1.0, _NOISE_SPREAD])

    def fitted(self, rows: Rows, values: FloatArray, start: FloatArray, steps: int) -> FloatArray:
        """Return the shape after at most so many steps from a start."""
        count, width = rows.shape
        apart = self._apart(rows)

        def loss(shape: FloatArray) -> tuple[float, FloatArray]:
            weights, variance, noise = _unpack(shape)
            kernel, slope = _matern_with_derivative((weights @ apart).reshape(count, count))
            covariance = variance * kernel
            covariance[np.diag_indices(count)] += noise
            try:
                root = np.linalg.cholesky(covariance)
            except np.linalg.LinAlgError:
                return math.inf, shape
            inverse = np.linalg.inv(covariance)
            residual = values - inverse.sum(axis=0) @ values / inverse.sum()
            solved = inverse @ residual
            change = 0.5 * (inverse - np.outer(solved, solved))
            gradient = np.empty(width + 2)
            gradient[:width] = (apart @ (change * slope).ravel()) * variance * weights
            gradient[width] = (change * kernel).sum() * variance
            gradient[width + 1] = np.trace(change) * noise
            from_prior = (shape - self.typical) / self._spread
            fit = 0.5 * residual @ solved + np.log(np.diagonal(root)).sum()
            return (
                float(fit + 0.5 * from_prior @ from_prior),
                gradient + from_prior / self._spread,
            )

        return _minimize_bfgs(loss, start, steps)

    def _apart(self, rows: Rows) -> FloatArray:
        """Return what each column adds to the distance of each two rows, a line a column."""
        count, width = rows.shape
        apart = np.empty((width, count, count))
        for i, categories in enumerate(self._categories):
            if categories:
                column = np.where(np.isnan(rows[:, i]), -1.0, rows[:, i])
                apart[i] = column[:, None] != column
            else:
                column = np.where(np.isnan(rows[:, i]), 0.5, rows[:, i])
                apart[i] = (column[:, None] - column) ** 2
        return apart.reshape(width, -1)


class Posterior:
    """What a process of a given shape expects after some values."""

    def __init__(
        self, categories: Sequence[int], shape: FloatArray, rows: Rows, values: FloatArray
    ) -> None:
        self._categories = categories
        self._weights, self._variance, self._noise = _unpack(shape)
        self._places = self._embedded(rows)
        inverse = self._inverse()
        self._mean = inverse.sum(axis=0) @ values / inverse.sum()
        self._solved = inverse @ (values - self._mean)
        self._inverted = inverse
        self.at_rows: FloatArray = values - self._noise * self._solved
        """What it expects at the rows themselves, without the noise of their values."""

    def believe(self, rows: Rows) -> None:
        """Take what is expected at some rows for measured, so that less is to be learned there."""
        values, _ = self.expected(rows)
        known = self.at_rows + self._noise * self._solved
        self._places = np.concatenate([self._places, self._embedded(rows)])
        self._inverted = self._inverse()
        self._solved = self._inverted @ (np.concatenate([known, values]) - self._mean)

    def expected(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the standard deviation at some rows."""
        near = self._variance * _matern(_squared_distances(self._embedded(rows), self._places))
        mean = self._mean + near @ self._solved
        variance = self._variance - ((near @ self._inverted) * near).sum(axis=1)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self._variance))

    def _inverse(self) -> FloatArray:
        covariance = self._variance * _matern(_squared_distances(self._places, self._places))
        covariance[np.diag_indices(len(covariance))] += self._noise
        return np.asarray(np.linalg.inv(covariance), np.float64)

    def _embedded(self, rows: Rows) -> FloatArray:
        """Return rows as points whose squared distance is the kernel's."""
        parts: list[FloatArray] = []
        for i, categories in enumerate(self._categories):
            root = math.sqrt(self._weights[i])
            if categories:
                places = np.where(np.isnan(rows[:, i]), categories, rows[:, i]).astype(np.int64)
                parts.append(np.eye(categories + 1)[places] * (root / math.sqrt(2)))
            else:
                parts.append(np.where(np.isnan(rows[:, i]), 0.5, rows[:, i])[:, None] * root)
        return np.concatenate(parts, axis=1)


def log_expected_improvement(best: float, mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """Return the logarithm of how far a value is expected to fall below the best.

    It stays exact where the improvement itself is too small for a number (Ament and others,
    NeurIPS 2023, <https://arxiv.org/abs/2310.20708>).
    """
    ahead = (best - mean) / deviation
    found = np.empty_like(ahead)
    likely = ahead > -1
    z = ahead[likely]
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    found[likely] = np.log(density + z * 0.5 * (1 + _erf(z / math.sqrt(2))))
    # Mills' ratio as a continued fraction: 1/(t + 1/(t + 2/(t + 3/(t + ...)))).
    t = -ahead[~likely]
    rest = t.copy()
    for k in range(40, 1, -1):
        rest = t + k / rest
    ratio = 1 / (t + 1 / rest)
    found[~likely] = -t * t / 2 - 0.5 * math.log(2 * math.pi) + np.log(ratio / rest)
    return found + np.log(deviation)


def _erf(x: FloatArray) -> FloatArray:
    """Return the error function; Abramowitz and Stegun 7.1.26, off by at most 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = 1.061405429 * t - 1.453152027
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + coefficient
    return np.asarray(np.sign(x) * (1 - series * t * np.exp(-x * x)), np.float64)


def _unpack(shape: FloatArray) -> tuple[FloatArray, float, float]:
    """Return the weights, the variance and the noise of a shape."""
    bounded = np.exp(np.clip(shape, -16.0, 9.0))
    return bounded[:-2], float(bounded[-2]), float(bounded[-1]) + _LEAST_NOISE


def _matern(squared: FloatArray) -> FloatArray:
    """Return Matérn 5/2 of squared distances; they are overwritten."""
    squared *= 5
    far = np.sqrt(squared)
    squared /= 3
    squared += far
    squared += 1
    squared *= np.exp(np.negative(far, out=far), out=far)
    return squared


def _matern_with_derivative(squared: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Matérn 5/2 of squared distances, and its slope."""
    far = np.sqrt(5 * squared)
    decay = np.exp(-far)
    slope = (1 + far) * decay
    return slope + far * far * decay / 3, slope * (-5 / 6)


def _squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the squared distance of each of some points to each of others."""
    found = left @ (-2 * right.T)
    found += (left * left).sum(axis=1)[:, None]
    found += (right * right).sum(axis=1)
    return np.asarray(np.maximum(found, 0.0, out=found), np.float64)


def _minimize_bfgs(
    loss: Callable[[FloatArray], tuple[float, FloatArray]], start: FloatArray, steps: int
) -> FloatArray:
    """Return where the method of Broyden, Fletcher, Goldfarb and Shanno comes from a start."""
    place = start
    value, gradient = loss(place)
    if not math.isfinite(value):
        return place
    curvature = np.eye(len(place)) / max(1.0, float(np.linalg.norm(gradient)))
    for step in range(steps):
        way = -curvature @ gradient
        if way @ gradient >= 0:
            curvature, way = np.eye(len(place)), -gradient
        way *= min(1.0, _LONGEST_STEP / float(np.abs(way).max()))
        falls = float(way @ gradient)
        if falls > -1e-4:
            break
        share = 1.0
        new, slope = loss(place + way)
        while not new <= value + 1e-4 * share * falls and share > 0.01:
            share *= 0.35
            new, slope = loss(place + share * way)
        if not new <= value + 1e-4 * share * falls:
            break
        moved, turned = share * way, slope - gradient
        bend = float(moved @ turned)
        if bend > 1e-10:
            if step == 0:
                curvature = np.eye(len(place)) * (bend / float(turned @ turned))
            left = np.eye(len(place)) - np.outer(moved, turned) / bend
            curvature = left @ curvature @ left.T + np.outer(moved, moved) / bend
        gained = value - new
        place, value, gradient = place + moved, new, slope
        if gained < 1e-3:
            break
    return place
