"""Values of trials as a model sees them: on one scale, and without outliers."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from cloudtune.search.gaussian_process import FloatArray

_TIE = 1e-9
"""The difference up to which standardized values are equal."""
_NORMAL = NormalDist()


def standardize(values: FloatArray, *, counts_ties_once: bool = False) -> FloatArray:
    """Standardize values, keeping only the order of the worse half.

    The worse half is spread like the upper half of a normal distribution, so that outliers do not
    make all other values look alike (Vizier's output warping: Song and others, 2024,
    <https://arxiv.org/abs/2408.11527>). If equal values do not count once, a plateau at the top can
    become the whole better half, with a cliff to all others.
    """
    values = values / (float(np.max(np.abs(values))) or 1.0)
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return np.zeros(len(values))
    if counts_ties_once:
        counts = np.ones_like(counts)
    middle = float(np.quantile(np.repeat(distinct, counts), 0.5))
    middle = max(middle, float(distinct[1]))
    better = (np.minimum(values, middle) - middle) / (middle - float(distinct[0]))
    scale = math.sqrt(float(np.mean(better[values <= middle] ** 2)))
    ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
    worse = np.array([max(0.0, _NORMAL.inv_cdf(rank)) for rank in ranks])[inverse]
    warped = np.where(values > middle, scale * worse, better)
    return np.asarray((warped - warped.mean()) / warped.std(), np.float64)


def least_step(values: FloatArray) -> float:
    """Return the smallest difference of the better values, or 0 if no two of them are equal."""
    ordered = np.sort(values)
    differences = np.diff(ordered)
    is_tied = (differences[: (len(values) - 1) // 2] <= _TIE).any()
    steps = differences[differences > _TIE]
    if not is_tied or not len(steps):
        return 0.0
    return float(steps[: (len(steps) + 1) // 2].min())
