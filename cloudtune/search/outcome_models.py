"""Models of the constraints on metrics: how likely each assignment keeps them.

Each constraint has a Gaussian process of its margin, by how much a trial breaks it. The expected
improvement counts with the probability that all margins are at most 0 (Gardner and others, ICML
2014, <https://proceedings.mlr.press/v32/gardner14.html>). While no trial keeps the constraints,
that probability alone chooses (Gelbart and others, UAI 2014, <https://arxiv.org/abs/1403.5607>).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cloudtune.search.encoding import Rows
from cloudtune.search.gaussian_process import FloatArray, KernelFitter, Posterior, log_normal_cdf

_FIT_STEPS = 12
_MAX_TRIALS = 150
"""The number of the latest trials to which the processes are fitted."""
_MAX_MARGIN = 3.0
"""The largest margin, in root mean squares of all of them, so that outliers do not hide others."""


class OutcomeModels:
    """The margins of the trials so far."""

    def __init__(self, fitter: KernelFitter, categories: Sequence[int], running: Rows) -> None:
        self._fitter = fitter
        self._categories = categories
        self._running = running
        self._posteriors: list[Posterior] = []

    def fit(self, rows: Mapping[int, Rows], margins: Mapping[int, Sequence[float]]) -> None:
        """Fit a process for each constraint to the trials with margins."""
        latest = sorted(margins)[-_MAX_TRIALS:]
        if not latest:
            return
        table = np.array([margins[index] for index in latest])
        known = np.array([rows[index] for index in latest])
        for column in table.T:
            values = standardize_margins(column)
            if np.all(values <= 0):
                continue  # nothing has broken it
            theta = self._fitter.fit(known, values, self._fitter.prior_median, _FIT_STEPS)
            posterior = Posterior(self._categories, theta, known, values)
            if len(self._running):
                posterior.condition_on_mean(self._running)
            self._posteriors.append(posterior)

    def log_probability(self, rows: Rows) -> FloatArray:
        """Return the logarithm of the probability that all constraints hold."""
        total = np.zeros(len(rows))
        for posterior in self._posteriors:
            mean, deviation = posterior.predict(rows)
            total += log_normal_cdf(-mean / deviation)
        return total


def standardize_margins(margins: FloatArray) -> FloatArray:
    """Return margins with a root mean square of 1 and the same signs; infinite ones are large."""
    finite = margins[np.isfinite(margins)]
    scale = math.sqrt(float(np.mean(finite**2))) if len(finite) else 0.0
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(margins / (scale or 1.0), -_MAX_MARGIN, _MAX_MARGIN), np.float64)
