"""A Gaussian process over the rows of an encoded space, on numpy only.

The kernel is a Matérn 5/2 of one distance. Each ordered column adds its squared difference, each
category column adds 1 where two rows differ, both times a weight of the column (an inverse squared
lengthscale). An inactive ordered column counts as the middle of its range, an inactive category
as an additional category. Rows under different conditions therefore differ in their parents and in
the columns that only one of them has. Rasmussen and Williams, *Gaussian Processes for Machine
Learning*, chapters 2 and 5, <https://gaussianprocess.org/gpml/>.

The kernel's hyperparameters (the weights, the signal variance and the noise variance, as
logarithms in one array ``theta``) are their maximum a posteriori estimate. The prior lets
lengthscales grow with the square root of the number of columns (Hvarfner and others, ICML 2024,
<https://arxiv.org/abs/2402.02229>). The constant mean is its maximum likelihood estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cloudtune.search.encoding import Rows

FloatArray = NDArray[np.float64]

_LOG_WEIGHT, _LOG_WEIGHT_STD = 1.4, 2.0
"""For one column: a lengthscale of half its range."""
_LOG_NOISE_STD = 2.0
_MIN_NOISE = 1e-6
_MAX_STEP = 2.0
"""The largest change of an element of theta in one step."""


class KernelFitter:
    """Finds theta, the logarithms of each column's weight, the variance and the noise."""

    def __init__(self, categories: Sequence[int], noise: float) -> None:
        """Set the kind of each column and the prior of the noise.

        Args:
            categories: The number of categories of each column, 0 for ordered columns.
            noise: The prior median of the noise variance.
        """
        self._categories = categories
        width = len(categories)
        log_weight = _LOG_WEIGHT - math.log(max(width, 1))
        self.prior_median: FloatArray = np.array([log_weight] * width + [0.0, math.log(noise)])
        self._prior_std = np.array([_LOG_WEIGHT_STD] * width + [1.0, _LOG_NOISE_STD])

    def fit(
        self,
        rows: Rows,
        values: FloatArray,
        start: FloatArray,
        max_steps: int,
        restart_steps: int = 0,
    ) -> FloatArray:
        """Return the most probable theta that optimization reaches.

        Args:
            rows: The rows of the trials.
            values: Their standardized values.
            start: Where the optimization starts.
            max_steps: Its number of steps at most.
            restart_steps: The same for a second start from the prior median, which leaves a local
                optimum; 0 for none.
        """
        loss = self._loss(rows, values)
        theta, value = _minimize_bfgs(loss, start, max_steps)
        if restart_steps:
            other, other_value = _minimize_bfgs(loss, self.prior_median, restart_steps)
            return other if other_value < value else theta
        return theta

    def _loss(
        self, rows: Rows, values: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        count, width = rows.shape
        differences = self._squared_differences(rows)

        def loss(theta: FloatArray) -> tuple[float, FloatArray]:
            """Return the negative log posterior density and its gradient."""
            weights, variance, noise = _unpack(theta)
            squared = (weights @ differences).reshape(count, count)
            kernel, derivative = _matern_with_derivative(squared)
            covariance = variance * kernel
            covariance[np.diag_indices(count)] += noise
            try:
                root = np.linalg.cholesky(covariance)
            except np.linalg.LinAlgError:
                return math.inf, theta
            inverse = np.linalg.inv(covariance)
            residual = values - inverse.sum(axis=0) @ values / inverse.sum()
            alpha = inverse @ residual
            change = 0.5 * (inverse - np.outer(alpha, alpha))
            gradient = np.empty(width + 2)
            gradient[:width] = (differences @ (change * derivative).ravel()) * variance * weights
            gradient[width] = (change * kernel).sum() * variance
            gradient[width + 1] = np.trace(change) * noise
            z = (theta - self.prior_median) / self._prior_std
            negative_log_likelihood = 0.5 * residual @ alpha + np.log(np.diagonal(root)).sum()
            return float(negative_log_likelihood + 0.5 * z @ z), gradient + z / self._prior_std

        return loss

    def _squared_differences(self, rows: Rows) -> FloatArray:
        """Return each column's term of the distance of all pairs of rows, one line per column."""
        count, width = rows.shape
        differences = np.empty((width, count, count))
        for i, categories in enumerate(self._categories):
            if categories:
                column = np.where(np.isnan(rows[:, i]), -1.0, rows[:, i])
                differences[i] = column[:, None] != column
            else:
                column = np.where(np.isnan(rows[:, i]), 0.5, rows[:, i])
                differences[i] = (column[:, None] - column) ** 2
        return differences.reshape(width, -1)


class Posterior:
    """The posterior of a Gaussian process with given hyperparameters."""

    def __init__(
        self, categories: Sequence[int], theta: FloatArray, rows: Rows, values: FloatArray
    ) -> None:
        self._categories = categories
        self._weights, self._variance, self._noise = _unpack(theta)
        self._points = self._embed(rows)
        self._inverse = self._invert_covariance()
        self._mean = self._inverse.sum(axis=0) @ values / self._inverse.sum()
        self._alpha = self._inverse @ (values - self._mean)
        self._errors: FloatArray = np.empty(0)
        self._squared_errors: FloatArray = np.empty(0)
        self.mean_at_rows: FloatArray = values - self._noise * self._alpha
        """The posterior mean at the rows themselves, without their noise."""

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the standard deviation that the other rows predict for each row.

        Rasmussen and Williams, equations 5.12. Call it before rows are added.
        """
        precision = np.diagonal(self._inverse)
        values = self.mean_at_rows + self._noise * self._alpha
        return values - self._alpha / precision, np.sqrt(1 / precision)

    def differences(self, row: int, lasting: float) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the deviation of the value at each row minus that at one of them.

        Call it before rows are added.

        Args:
            row: The index of that row; its own deviation is 0.
            lasting: The share of the noise variance that is no noise: the part of a row's value
                that the kernel does not explain, and that measures the same again.
        """
        noise = (1 - lasting) * self._noise
        means = self.mean_at_rows + lasting * self._noise * self._alpha
        precision = np.diagonal(self._inverse)
        variances = 2 * noise - noise**2 * (precision + precision[row] - 2 * self._inverse[row])
        variances[row] = 0.0
        return means - means[row], np.sqrt(np.maximum(variances, 0.0))

    def calibrate(self) -> None:
        """Correct predictions by the leave-one-out errors of the rows nearby.

        A kernel has the same variance everywhere, but objectives are flat in some regions and steep
        in others. Afterwards, the variance is small on a plateau, where each row is predicted by
        its neighbors, and large where measurements surprise: it is scaled by the squared
        standardized errors. Where the rows nearby are worse than the other rows predict, the mean
        rises by their mean error, since it promises too much there. It never falls.

        Rows count with their correlation, and the kernel itself counts as one row. Call it before
        rows are added. Sampling by leave-one-out errors: Mohammadi and others, 2020,
        <https://arxiv.org/abs/2005.01814>.
        """
        self._errors = self._alpha / np.diagonal(self._inverse)
        self._squared_errors = self._alpha * self._errors

    def condition_on_mean(self, rows: Rows) -> None:
        """Add rows with their predicted mean as value, which reduces the uncertainty there.

        This is the kriging believer heuristic for trials that are still running.
        """
        values, _ = self.predict(rows)
        known = self.mean_at_rows + self._noise * self._alpha
        self._points = np.concatenate([self._points, self._embed(rows)])
        self._inverse = self._invert_covariance()
        self._alpha = self._inverse @ (np.concatenate([known, values]) - self._mean)

    def predict(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the standard deviation at some rows."""
        correlation = _matern(_squared_distances(self._embed(rows), self._points))
        cross = self._variance * correlation
        mean = self._mean + cross @ self._alpha
        variance = self._variance - ((cross @ self._inverse) * cross).sum(axis=1)
        nearby = correlation[:, : len(self._errors)]
        count = 1 + nearby.sum(axis=1)
        mean += np.maximum(nearby @ self._errors / count, 0.0)
        variance *= (1 + nearby @ self._squared_errors) / count
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self._variance))

    def _invert_covariance(self) -> FloatArray:
        covariance = self._variance * _matern(_squared_distances(self._points, self._points))
        covariance[np.diag_indices(len(covariance))] += self._noise
        return np.asarray(np.linalg.inv(covariance), np.float64)

    def _embed(self, rows: Rows) -> FloatArray:
        """Return rows as points whose squared Euclidean distance is that of the kernel."""
        parts: list[FloatArray] = []
        for i, categories in enumerate(self._categories):
            root = math.sqrt(self._weights[i])
            if categories:
                indices = np.where(np.isnan(rows[:, i]), categories, rows[:, i]).astype(np.int64)
                parts.append(np.eye(categories + 1)[indices] * (root / math.sqrt(2)))
            else:
                parts.append(np.where(np.isnan(rows[:, i]), 0.5, rows[:, i])[:, None] * root)
        return np.concatenate(parts, axis=1)


def log_expected_improvement(
    incumbent: float, mean: FloatArray, deviation: FloatArray
) -> FloatArray:
    """Return the logarithm of the expected improvement below the incumbent value.

    The result stays exact where the improvement itself underflows (Ament and others, NeurIPS 2023,
    <https://arxiv.org/abs/2310.20708>).
    """
    z = (incumbent - mean) / deviation
    log_ei = np.empty_like(z)
    is_direct = z > -1
    direct = z[is_direct]
    density = np.exp(-direct * direct / 2) / math.sqrt(2 * math.pi)
    log_ei[is_direct] = np.log(density + direct * 0.5 * (1 + _erf(direct / math.sqrt(2))))
    # The Mills ratio as a continued fraction: 1/(t + 1/(t + 2/(t + 3/(t + ...)))).
    t = -z[~is_direct]
    tail = t.copy()
    for k in range(40, 1, -1):
        tail = t + k / tail
    ratio = 1 / (t + 1 / tail)
    log_ei[~is_direct] = -t * t / 2 - 0.5 * math.log(2 * math.pi) + np.log(ratio / tail)
    return log_ei + np.log(deviation)


def log_normal_cdf(z: FloatArray) -> FloatArray:
    """Return the logarithm of the distribution function of the standard normal distribution.

    Below -4 it is the asymptotic series, to within 0.2 %.
    """
    tail = np.minimum(z, -4.0)
    far = -tail * tail / 2 - 0.5 * math.log(2 * math.pi) - np.log(-tail)
    far += np.log1p(-1 / tail**2 + 3 / tail**4)
    near = np.log(np.maximum(0.5 * (1 + _erf(np.maximum(z, -4.0) / math.sqrt(2))), 1e-300))
    return np.asarray(np.where(z < -4, far, near), np.float64)


def _erf(x: FloatArray) -> FloatArray:
    """Return the error function to within 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = 1.061405429 * t - 1.453152027
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + coefficient
    return np.asarray(np.sign(x) * (1 - series * t * np.exp(-x * x)), np.float64)


def _unpack(theta: FloatArray) -> tuple[FloatArray, float, float]:
    bounded = np.exp(np.clip(theta, -16.0, 9.0))
    return bounded[:-2], float(bounded[-2]), float(bounded[-1]) + _MIN_NOISE


def _matern(squared: FloatArray) -> FloatArray:
    """Return the Matérn 5/2 kernel of squared distances, which it overwrites."""
    squared *= 5
    scaled = np.sqrt(squared)
    squared /= 3
    squared += scaled
    squared += 1
    squared *= np.exp(np.negative(scaled, out=scaled), out=scaled)
    return squared


def _matern_with_derivative(squared: FloatArray) -> tuple[FloatArray, FloatArray]:
    scaled = np.sqrt(5 * squared)
    decay = np.exp(-scaled)
    factor = (1 + scaled) * decay
    return factor + scaled * scaled * decay / 3, factor * (-5 / 6)


def _squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    squared = left @ (-2 * right.T)
    squared += (left * left).sum(axis=1)[:, None]
    squared += (right * right).sum(axis=1)
    return np.asarray(np.maximum(squared, 0.0, out=squared), np.float64)


def _minimize_bfgs(
    loss: Callable[[FloatArray], tuple[float, FloatArray]], start: FloatArray, max_steps: int
) -> tuple[FloatArray, float]:
    """Return the best point that the BFGS method reaches from a start, and its loss."""
    point = start
    value, gradient = loss(point)
    if not math.isfinite(value):
        return point, value
    inverse_hessian = np.eye(len(point)) / max(1.0, float(np.linalg.norm(gradient)))
    for step in range(max_steps):
        direction = -inverse_hessian @ gradient
        if direction @ gradient >= 0:
            inverse_hessian, direction = np.eye(len(point)), -gradient
        direction *= min(1.0, _MAX_STEP / float(np.abs(direction).max()))
        slope = float(direction @ gradient)
        if slope > -1e-4:
            break
        length = 1.0
        new_value, new_gradient = loss(point + direction)
        while not new_value <= value + 1e-4 * length * slope and length > 0.01:
            length *= 0.35
            new_value, new_gradient = loss(point + length * direction)
        if not new_value <= value + 1e-4 * length * slope:
            break
        moved, turned = length * direction, new_gradient - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-10:
            identity = np.eye(len(point))
            if step == 0:
                inverse_hessian = identity * (curvature / float(turned @ turned))
            left = identity - np.outer(moved, turned) / curvature
            inverse_hessian = left @ inverse_hessian @ left.T + np.outer(moved, moved) / curvature
        gain = value - new_value
        point, value, gradient = point + moved, new_value, new_gradient
        if gain < 1e-3:
            break
    return point, value
