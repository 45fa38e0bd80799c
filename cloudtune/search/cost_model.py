"""Predicts how long trials run, for a search that prefers short ones.

A Gaussian process of the logarithms of the durations of completed trials. It counts only when they
differ tenfold. Its hyperparameters are fitted less and less often, always to the same trials, so
the prediction is a function of the events.

A trial that failed or was stopped early, or that has started more than once, ran for another time
than its parameters need, so it does not count. Times of running trials are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from cloudtune.search.encoding import Rows
from cloudtune.search.gaussian_process import FloatArray, KernelFitter, Posterior

_MIN_TRIALS = 3
_MIN_RATIO = 10.0
"""The ratio of the longest and the shortest duration from which on durations count."""
_SHORTEST = 0.1
"""The seconds that the start of a process may take. Shorter durations do not differ."""
_FULL_TRIALS = 8
"""The number of trials up to which the whole logarithm counts."""
_NOISE = 0.01
"""The prior median of the noise variance, where 1 is the variance of the logarithms."""
_MAX_TRIALS = 150
"""The number of the latest trials to which the process is fitted."""
_FIT_STEPS = 30


class CostModel:
    """The durations of the trials of one search."""

    def __init__(self, categories: Sequence[int]) -> None:
        """Create a model without trials; ``categories`` as in `KernelFitter`."""
        self._categories = categories
        self._fitter = KernelFitter(categories, _NOISE)
        self._rows: list[Rows] = []
        self._seconds: list[float] = []
        self._theta = lru_cache(1)(self._fit)

    def add(self, row: Rows, seconds: float) -> None:
        """Add a trial that completed in its only start, in the order of the ends."""
        self._rows.append(row)
        self._seconds.append(max(seconds, _SHORTEST))

    @property
    def counts(self) -> bool:
        """Whether durations differ so much that they count."""
        return len(self._seconds) >= _MIN_TRIALS and max(self._seconds) >= _MIN_RATIO * min(
            self._seconds
        )

    def predict(self, rows: Rows) -> FloatArray:
        """Return the logarithm of the predicted seconds of some rows, less a constant."""
        known, values, scale = self._data(len(self._rows))
        theta = self._theta(_last_fit(len(self._rows)))
        return scale * Posterior(self._categories, theta, known, values).predict(rows)[0]

    def share(self, trials: int) -> float:
        """Return by how much the logarithm counts after a number of trials.

        At first, the search maximizes the expected improvement per second. In the end, when the
        short trials are known, an improvement counts however long it takes. Lee and others,
        *Cost-aware Bayesian optimization*, 2020, <https://arxiv.org/abs/2003.10870>.
        """
        return min(1.0, _FULL_TRIALS / max(trials, 1))

    def _data(self, count: int) -> tuple[Rows, FloatArray, float]:
        """Return rows and standardized logarithms of the latest of the first trials."""
        part = slice(max(0, count - _MAX_TRIALS), count)
        logs = np.log(self._seconds[part])
        scale = float(logs.std()) or 1.0
        return np.array(self._rows[part]), (logs - logs.mean()) / scale, scale

    def _fit(self, count: int) -> FloatArray:
        rows, values, _ = self._data(count)
        return self._fitter.fit(rows, values, self._fitter.prior_median, _FIT_STEPS)


def _last_fit(count: int) -> int:
    """Return the largest number of trials up to ``count`` after which the process is fitted."""
    fit = _MIN_TRIALS
    while (following := fit + 1 + fit // 10) <= count:
        fit = following
    return fit
