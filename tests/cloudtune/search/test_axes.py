"""The values that a search uses of a continuum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudtune.search.axes import Axis
from cloudtune.search.encoding import Column
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import Node
from cloudtune.study.study import Study

SPACE: dict[str, Any] = {
    "x": {"type": "float", "min": 0.1, "max": 0.4},
    "lr": {"type": "float", "min": 1e-5, "max": 0.1, "scale": "log"},
    "momentum": {"type": "float", "min": 0.5, "max": 0.999, "scale": "reverse_log"},
}
STRATEGIES: list[dict[str, Any]] = [
    {"name": "random"},
    {"name": "random", "method": "sobol"},
    {"name": "bayesian"},
    {"name": "bayesian", "method": "tpe"},
    {"name": "bayesian", "method": "cmaes"},
    {"name": "genetic"},
    {"name": "hyperband", "resource": "epochs", "max": 4, "eta": 2},
    {"name": "hyperband", "max": 4, "eta": 2},
]


def axis_of(low: float, high: float, scale: str) -> Axis:
    data = {"type": "float", "min": low, "max": high, "scale": scale}
    return Axis(Node("x", "x", FloatParameter.model_validate(data)))


def digits(value: float) -> int:
    return len(repr(value).partition("e")[0].strip("-").replace(".", "").strip("0"))


@pytest.mark.parametrize(
    ("low", "high", "scale", "most"),
    [
        (0.0, 1.0, "linear", 6),
        (0.1, 0.4, "linear", 7),
        (-1.0, 1.0, "linear", 7),
        (100.0, 101.0, "linear", 9),
        (0.0, 1e9, "linear", 7),
        (1e-5, 0.1, "log", 7),
        (1e-300, 1e300, "log", 7),
        (0.5, 0.999, "reverse_log", 8),
    ],
)
def test_values_have_the_digits_that_tell_a_millionth_of_the_range(
    low: float, high: float, scale: str, most: int
) -> None:
    axis, rng = axis_of(low, high, scale), Random(1)
    values = [axis.sample(rng) for _ in range(500)]
    assert len({*values}) > 490
    assert max(digits(float(value)) for value in values) <= most
    assert {axis.value(u) for u in (0.0, -1e-17, 1e-9)} == {low}
    assert {axis.value(u) for u in (1.0, 1 - 1e-16, 1 - 1e-9)} == {high}
    assert "-0.0" not in map(repr, (axis.value(0.5 + k * 1e-6) for k in range(-3, 4)))


BOUND = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1e-300, 5e-324, 1.0, 1e308, -1e308])


@given(BOUND, BOUND, st.sampled_from(["linear", "log", "reverse_log"]), st.floats(0, 1))
def test_values_are_within_any_bounds(left: float, right: float, scale: str, u: float) -> None:
    if scale == "log":
        left, right = abs(left) or 1.0, abs(right) or 1.0
    low, high = sorted([left, right])
    assume(low < high and (scale != "reverse_log" or high - low < 1e308))
    axis = axis_of(low, high, scale)
    assert low <= float(axis.value(u)) <= high
    assert (axis.value(0.0), axis.value(1.0)) == (low, high)


@given(
    st.integers(1, 99_999),
    st.integers(-6, 3),
    st.floats(0.01, 1e4),
    st.sampled_from(["linear", "log", "reverse_log"]),
    st.integers(0, 999_999),
)
def test_neighbors_differ_and_return_to_their_fraction(
    digits: int, exponent: int, ratio: float, scale: str, number: int
) -> None:
    low = float(f"{digits}e{exponent}")
    axis = axis_of(low, float(f"{low * (1 + ratio):.6g}"), scale)
    column, fraction = Column(axis), number / 1e6
    value, following = axis.value(fraction), axis.value((number + 1) / 1e6)
    assert value < following  # type: ignore[operator]
    assert column.encode(value) == fraction
    assert repr(column.decode(fraction)) == repr(value)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_every_strategy_passes_short_numbers(
    study_of: Callable[..., Study], job: Any, strategy: Mapping[str, Any]
) -> None:
    def report(parameters: Mapping[str, Any], resource: int | None) -> Sequence[Any]:
        loss = sum((parameters[name] - SPACE[name]["max"]) ** 2 for name in SPACE)
        return [{"loss": loss}] * (resource or 4)

    study = study_of(parameters=SPACE, strategy=dict(strategy))
    starts = job(study, report, seed=3, max_trials=30).run().starts
    assert len(starts) >= 30
    for name, bounds in SPACE.items():
        values = [start.parameters[name] for start in starts]
        assert max(map(digits, values)) <= 8, max(values, key=digits)
        assert all(bounds["min"] <= value <= bounds["max"] for value in values)
