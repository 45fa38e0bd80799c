"""The Gaussian process against known properties of Gaussian processes."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from cloudtune.search.gaussian_process import (
    FloatArray,
    KernelFitter,
    Posterior,
    log_expected_improvement,
)

NAN = math.nan


def test_expected_improvement_is_that_of_a_normal_distribution() -> None:
    normal = NormalDist()
    for ahead in (-6.0, -3.0, -1.0001, -0.9999, -0.5, 0.0, 0.5, 2.0, 6.0):
        expected = normal.pdf(ahead) + ahead * normal.cdf(ahead)
        (found,) = log_expected_improvement(5.0, np.array([5.0 - 2 * ahead]), np.array([2.0]))
        assert found == pytest.approx(math.log(2 * expected), abs=1e-4)


def test_log_expected_improvement_does_not_underflow() -> None:
    means = np.array([10.0, 50.0, 100.0, 1e4])
    found = log_expected_improvement(0.0, means, np.ones(4))
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[3] == pytest.approx(-(1e8) / 2, rel=1e-6)


def test_the_posterior_is_certain_only_at_measurements() -> None:
    rows = np.linspace(0, 1, 9)[:, None]
    values = np.sin(6 * rows[:, 0])
    shape = np.array([math.log(10.0), 0.0, math.log(1e-6)])
    posterior = Posterior([0], shape, rows, values)
    mean, deviation = posterior.predict(rows)
    assert mean == pytest.approx(values, abs=1e-3)
    assert (deviation < 0.01).all()
    between, unsure = posterior.predict(np.array([[0.44], [3.0]]))
    assert between[0] == pytest.approx(math.sin(6 * 0.44), abs=0.05)
    assert unsure[1] == pytest.approx(1.0, abs=0.1)
    assert posterior.mean_at_rows == pytest.approx(values, abs=1e-3)


def test_the_fit_finds_relevant_columns_and_the_noise() -> None:
    random = np.random.default_rng(4)
    rows = np.column_stack(
        [random.random((80, 2)), random.integers(0, 3, (80, 2)).astype(np.float64)]
    )
    values = np.sin(7 * rows[:, 0]) + 1.0 * (rows[:, 2] == 1) + 0.2 * random.standard_normal(80)
    values = (values - values.mean()) / values.std()
    shape = KernelFitter([0, 0, 3, 3], 1e-3)
    found = shape.fit(rows, values, shape.prior_median, 40)
    assert found[0] > found[1] + 1
    assert found[2] > found[3] + 1
    assert 0.005 < math.exp(found[5]) < 0.3


def test_continuing_a_fit_does_not_make_it_worse() -> None:
    random = np.random.default_rng(5)
    rows = random.random((30, 2))
    values = np.sin(5 * rows[:, 0]) - rows[:, 1]
    values = (values - values.mean()) / values.std()
    shape = KernelFitter([0, 0], 1e-3)
    early = shape.fit(rows, values, shape.prior_median, 3)
    late = shape.fit(rows, values, early, 60)
    fresh = random.random((200, 2))
    truth = np.sin(5 * fresh[:, 0]) - fresh[:, 1]

    def error(of: FloatArray) -> float:
        mean, _ = Posterior([0, 0], of, rows, values).predict(fresh)
        return float(1 - np.corrcoef(mean, truth)[0, 1])

    assert error(late) < 0.01
    assert error(late) <= error(shape.prior_median)


def test_differences_of_rows_are_those_of_the_posterior() -> None:
    rows = np.array([[0.1], [0.15], [0.7]])
    values = np.array([1.0, -0.5, 0.3])
    theta = np.array([math.log(4.0), 0.0, math.log(0.2)])
    posterior = Posterior([0], theta, rows, values)
    means, deviations = posterior.differences(1, 0.0)
    assert means == pytest.approx(posterior.mean_at_rows - posterior.mean_at_rows[1])
    assert deviations[1] == 0
    assert 0 < deviations[0] < deviations[2], "near rows differ by less"
    # two rows far apart are independent: each keeps variance * noise / (variance + noise)
    far = Posterior([0], np.array([9.0, 0.0, math.log(0.2)]), rows[[0, 2]], values[[0, 2]])
    assert far.differences(0, 0.0)[1][1] ** 2 == pytest.approx(2 * 0.2 / 1.2, rel=1e-4)
    means, deviations = posterior.differences(1, 1.0)
    assert means == pytest.approx(values - values[1]), "if nothing is noise, the values are true"
    assert deviations == pytest.approx(0)


def test_conditioning_on_the_mean_reduces_only_the_uncertainty() -> None:
    random = np.random.default_rng(6)
    rows = random.random((12, 2))
    values = rows[:, 0] - rows[:, 1]
    shape = np.array([1.0, 1.0, 0.0, math.log(1e-4)])
    posterior = Posterior([0, 0], shape, rows, values)
    there = np.array([[0.9, 0.05]])
    mean, unsure = posterior.predict(there)
    posterior.condition_on_mean(there)
    again, sure = posterior.predict(there)
    assert again == pytest.approx(mean, abs=1e-3)
    assert sure[0] < 0.5 * unsure[0]


def test_rows_under_different_conditions_compare_shared_columns() -> None:
    shape = np.array([0.0, 0.0, 0.0, 0.0, math.log(1e-6)])
    rows = np.array([[0.0, 0.2, NAN], [0.0, 0.9, NAN], [1.0, NAN, 0.5]])
    posterior = Posterior([2, 0, 0], shape, rows, np.array([1.0, 1.0, -1.0]))
    mean, _ = posterior.predict(np.array([[1.0, NAN, 0.4], [0.0, 0.5, NAN]]))
    assert mean[0] < -0.5
    assert mean[1] > 0.5
