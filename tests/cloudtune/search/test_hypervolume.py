"""The expected hypervolume improvement agrees with its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudtune.search import hypervolume
from cloudtune.search.hypervolume import ExpectedImprovement, reference_point

FRONTS = {
    2: np.array([[0.0, 1.0], [0.4, 0.3], [1.0, 0.0]]),
    3: np.array([[0.0, 1.0, 0.5], [0.4, 0.3, 0.6], [1.0, 0.0, 0.2]]),
}


def sampled(front: Any, reference: Any, mean: Any, deviation: Any) -> float:
    """Return the mean volume that samples dominate and the front does not."""
    rng = np.random.default_rng(1)
    low = reference - 3
    points = low + 3 * rng.random((30_000, len(reference)))
    points = points[~(front <= points[:, None]).all(axis=2).any(axis=1)]
    samples = rng.normal(mean, deviation, (500, len(reference)))
    dominated = [float((sample <= points).all(axis=1).sum()) for sample in samples]
    return float(np.mean(dominated)) * float(3 ** len(reference)) / 30_000


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [2, 3])
def test_it_agrees_with_samples(objectives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypervolume, "_DIRECTIONS", 3_000)
    front, reference = FRONTS[objectives], np.full(objectives, 1.2)
    rng = np.random.default_rng(2)
    means = rng.normal(0.3, 0.3, (3, objectives))
    deviations = rng.uniform(0.1, 0.4, (3, objectives))
    improvement = ExpectedImprovement(front, reference, rng)
    logs = improvement.log([(means[:, i], deviations[:, i]) for i in range(objectives)])
    by_samples = np.array(
        [
            sampled(front, reference, mean, deviation)
            for mean, deviation in zip(means, deviations, strict=True)
        ]
    )
    ratios = np.exp(logs) / by_samples
    if objectives == 2:
        assert ratios == pytest.approx(1, rel=0.12)
    # With more objectives it has an arbitrary unit.
    assert ratios == pytest.approx(np.mean(ratios), rel=0.15)


def test_hopeless_assignments_are_finite_and_ranked() -> None:
    improvement = ExpectedImprovement(FRONTS[2], np.full(2, 1.2), np.random.default_rng(0))
    mean, deviation = np.array([1.0, 2.0, 5.0, 1e9]), np.full(4, 0.1)
    logs = improvement.log([(mean, deviation), (mean, deviation)])
    assert np.isfinite(logs).all()
    assert list(logs) == sorted(logs, reverse=True)


def test_the_reference_point_is_behind_the_points() -> None:
    values = np.array([[0.0, 3.0], [2.0, 1.0], [5.0, 5.0]])
    assert reference_point(values[:2], values) == pytest.approx([2.2, 3.2])
    assert reference_point(values[:1], values) == pytest.approx([5.5, 5.2])
