"""Intervals of few values."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.intervals import difference_interval, mean_interval
from cloudtune.errors import MissingExtraError

VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=6)


def test_students_interval_as_in_a_table() -> None:
    found = mean_interval([1.0, 2.0, 3.0])  # 2 ± 4.3027 * 1 / sqrt(3)
    assert found is not None
    assert found.low == pytest.approx(-0.4841, abs=1e-4)
    assert found.high == pytest.approx(4.4841, abs=1e-4)


def test_welchs_interval_as_by_hand() -> None:
    # Means 2 and 12, variances 1 and 1, three each: the pooled case, t(4) = 2.7764, sqrt(2/3).
    found = difference_interval([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], 1)
    assert found is not None
    assert found.low == pytest.approx(-10 - 2.7764 * 0.8165, abs=1e-3)
    assert found.high == pytest.approx(-10 + 2.7764 * 0.8165, abs=1e-3)


def test_too_few_values_have_no_interval() -> None:
    assert mean_interval([1.0]) is None
    assert mean_interval([2.0, 2.0]) is None
    assert difference_interval([1.0], [2.0, 3.0], 1) is None
    assert difference_interval([1.0, 1.0], [2.0, 2.0], 1) is None


@given(VALUES, VALUES)
def test_more_comparisons_make_an_interval_wider(left: list[float], right: list[float]) -> None:
    one, three = difference_interval(left, right, 1), difference_interval(left, right, 3)
    assert (one is None) == (three is None)
    if one and three:
        assert three.low <= one.low <= one.high <= three.high
        swapped = difference_interval(right, left, 1)
        assert swapped is not None
        assert (-swapped.high, -swapped.low) == pytest.approx(
            (one.low, one.high), rel=1e-6, abs=1e-9
        )


def test_without_scipy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtraError, match=r"cloudtune\[report\]"):
        mean_interval([1.0, 2.0])
