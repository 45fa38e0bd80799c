"""The tree of parameters: what is active, how much there is, and each value's own spelling."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudtune.study.schema import FloatParameter, Parameter
from cloudtune.study.search_space import (
    Space,
    Value,
    count_values,
    format_value,
    interpolate,
    is_same_value,
    list_values,
    match_value,
    resolve_scale,
    value_at,
)
from cloudtune.study.study import Study


def space_of(**parameters: Any) -> Space:
    return Space.from_study(
        Study.model_validate({"parameters": parameters}, context={"parts_only": True})
    )


def one(**parameter: Any) -> Parameter:
    return space_of(x=parameter).nodes[0].parameter


TREE: dict[str, Any] = {
    "gamma": [
        {"type": "float", "min": 0, "max": 1, "step": 0.5, "when": {"kernel": "rbf"}},
        {"type": "int", "min": 1, "max": 2, "when": {"kernel": ["poly", True]}},
    ],
    "kernel": {"type": "categorical", "values": ["linear", "rbf", "poly", True]},
    "coef": {"type": "bool", "when": {"kernel": "poly", "gamma": 2}},
    "batch": {"type": "discrete", "values": [16, 32]},
    "deep": {"type": "bool", "when": {"coef": True, "batch": 16}},
}


def test_values_are_compared_with_their_type() -> None:
    kinds: list[Value] = [1, "1", True, "True", 2.5]
    for left, right in itertools.combinations(kinds, 2):
        assert not is_same_value(left, right)
    assert is_same_value(4, 4.0)
    assert is_same_value(False, False)
    assert not is_same_value(0, False)


@pytest.mark.parametrize(
    ("value", "spelling"),
    [(True, "True"), (1, "1"), (1.0, "1.0"), (1e-5, "1e-05"), ("007", "007"), (0.1, "0.1")],
)
def test_a_value_has_one_text(value: Value, spelling: str) -> None:
    assert format_value(value) == spelling


def test_parents_come_first_and_the_rest_in_the_order_of_the_file() -> None:
    names = [node.name for node in space_of(**TREE).nodes]
    assert names == ["kernel", "gamma", "gamma", "coef", "batch", "deep"]


def test_keys_are_unique_whatever_the_names() -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    space = space_of(**{"x": [unit, unit, unit], "x#2": [unit, unit], "x#3#": unit})
    assert len({node.key for node in space.nodes}) == 6
    assert [node.key for node in space_of(x=[unit, unit]).nodes] == ["x", "x#2"]


def test_a_cycle_of_conditions_is_an_error() -> None:
    flag = {"type": "bool"}
    with pytest.raises(ValueError, match="cycle"):
        space_of(a=flag | {"when": {"b": True}}, b=flag | {"when": {"a": True}})


@pytest.mark.parametrize(
    ("assignment", "active"),
    [
        ({"kernel": "linear", "gamma": 2, "coef": True, "batch": 16}, ["kernel", "batch"]),
        ({"kernel": "rbf", "gamma": 0.5, "batch": 16}, ["kernel", "gamma", "batch"]),
        ({"kernel": True, "gamma": 2, "batch": 16}, ["kernel", "gamma", "batch"]),
        ({"kernel": "poly", "gamma": 2, "coef": False}, ["kernel", "gamma", "coef", "batch"]),
        (
            {"kernel": "poly", "gamma": 2, "coef": True, "batch": 16},
            ["kernel", "gamma", "coef", "batch", "deep"],
        ),
        ({"kernel": 1, "gamma": 2}, ["kernel", "batch"]),
        ({}, ["kernel", "batch"]),
    ],
)
def test_a_child_of_an_inactive_parent_is_inactive(
    assignment: dict[str, Value], active: list[str]
) -> None:
    space = space_of(**TREE)
    assert [node.name for node in space.active_nodes(assignment)] == active


def test_the_grid_has_each_assignment_once_and_a_known_size() -> None:
    space = space_of(**TREE)
    whole = list(space.grid())
    assert space.size == len(whole) == 19
    seen = {tuple((name, type(v), v) for name, v in each.items()) for each in whole}
    assert len(seen) == len(whole)
    for one_of_them in whole:
        active = [node.name for node in space.active_nodes(one_of_them)]
        assert active == list(one_of_them)


def test_the_size_is_counted_without_listing() -> None:
    long = {"type": "int", "min": 1, "max": 10**9}
    assert space_of(a=long, b=long, c={"type": "bool"}).size == 2 * 10**18
    assert space_of(a=long, b={"type": "float", "min": 0, "max": 1}).size is None
    with pytest.raises(ValueError, match="b has no countable values"):
        next(space_of(a=long, b={"type": "float", "min": 0, "max": 1}).grid())


def test_the_grid_is_lazy() -> None:
    long = {"type": "int", "min": 1, "max": 10**15}
    result = itertools.islice(space_of(a=long, b=long).grid(), 2)
    assert list(result) == [{"a": 1, "b": 1}, {"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ({"type": "bool"}, (False, True)),
        ({"type": "int", "min": 1, "max": 8, "step": 3}, (1, 4, 7)),
        ({"type": "int", "min": -1, "max": 1}, (-1, 0, 1)),
        ({"type": "float", "min": 0.1, "max": 0.45, "step": 0.1}, (0.1, 0.2, 0.3, 0.4)),
        ({"type": "float", "min": 0, "max": 0.3, "step": 0.1}, (0.0, 0.1, 0.2, 0.3)),
        ({"type": "float", "min": 2, "max": 2}, (2.0,)),
        ({"type": "discrete", "values": [0.5, 4]}, (0.5, 4.0)),
        ({"type": "categorical", "values": ["1", 1, True]}, ("1", 1, True)),
    ],
)
def test_values_are_counted_and_indexed(
    parameter: dict[str, Any], values: tuple[Value, ...]
) -> None:
    created = one(**parameter)
    assert list_values(created) == values
    assert count_values(created) == len(values)
    assert tuple(value_at(created, place) for place in range(len(values))) == values
    for value in values:
        own = match_value(created, value)
        assert own == value
        assert type(own) is type(value)


def test_a_continuous_parameter_has_no_indexes() -> None:
    created = one(type="float", min=0, max=1)
    assert list_values(created) is None
    assert count_values(created) is None
    with pytest.raises(ValueError, match="no countable values"):
        value_at(created, 0)


@pytest.mark.parametrize(
    ("parameter", "value", "own"),
    [
        ({"type": "float", "min": 0, "max": 4}, 4, 4.0),
        ({"type": "float", "min": 0, "max": 4}, 4.1, None),
        ({"type": "float", "min": 0, "max": 4}, True, None),
        ({"type": "float", "min": 0, "max": 4}, "1", None),
        ({"type": "float", "min": 0, "max": 4}, math.nan, None),
        ({"type": "float", "min": 0, "max": 1, "step": 0.1}, 0.1 + 0.2, 0.3),
        ({"type": "float", "min": 0, "max": 1, "step": 0.1}, 0.35, None),
        ({"type": "int", "min": 0, "max": 4}, 3.0, 3),
        ({"type": "int", "min": 0, "max": 4}, 3.5, None),
        ({"type": "int", "min": 0, "max": 4, "step": 2}, 3, None),
        ({"type": "int", "min": 0, "max": 1}, True, None),
        ({"type": "discrete", "values": [16, 32]}, 16.0, 16),
        ({"type": "discrete", "values": [16, 32]}, 17, None),
        ({"type": "categorical", "values": ["1", True]}, 1, None),
        ({"type": "categorical", "values": [2, True]}, True, True),
        ({"type": "bool"}, 1, None),
        ({"type": "bool"}, "True", None),
    ],
)
def test_a_value_is_matched_to_the_parameters_own(
    parameter: dict[str, Any], value: Value, own: Value | None
) -> None:
    result = match_value(one(**parameter), value)
    assert result == own
    assert type(result) is type(own)


@pytest.mark.parametrize(
    ("parameter", "scale"),
    [
        ({"type": "float", "min": 0.01, "max": 1}, "log"),
        ({"type": "float", "min": 0.011, "max": 1}, "linear"),
        ({"type": "float", "min": 0, "max": 1000}, "linear"),
        ({"type": "int", "min": 1, "max": 100}, "log"),
        ({"type": "discrete", "values": [1, 5, 100]}, "log"),
        ({"type": "discrete", "values": [16, 32, 64]}, "linear"),
    ],
)
def test_auto_is_log_from_a_ratio_of_100_on(parameter: dict[str, Any], scale: str) -> None:
    created: Any = one(**parameter, scale="auto")
    assert resolve_scale(created) == scale
    linear: Any = one(**parameter)
    assert resolve_scale(linear) == "linear"


def scaled(low: float, high: float, scale: str) -> FloatParameter:
    data = {"type": "float", "min": low, "max": high, "scale": scale}
    return FloatParameter.model_validate(data)


BOUND = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1e-300, 5e-324, 1.0, 1e308, -1e308])


@given(BOUND, BOUND, st.sampled_from(["linear", "log", "reverse_log", "auto"]), st.data())
def test_interpolation_increases_from_bound_to_bound(
    left: float, right: float, scale: Any, data: st.DataObject
) -> None:
    low, high = sorted([left, right])
    if scale == "log":
        low, high = sorted([abs(left) or 1.0, abs(right) or 1.0])
    assume(scale != "reverse_log" or math.isfinite(high - low))  # validation refuses the others
    parameter = scaled(low, high, scale)
    fractions = sorted(data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=5)))
    values = [interpolate(parameter, fraction) for fraction in fractions]
    assert all(low <= value <= high for value in values)
    slack = 1e-12 * max(abs(low), abs(high))
    assert all(a <= b + slack for a, b in itertools.pairwise(values))
    near = slack + 1e-300 if scale == "reverse_log" else 0
    assert interpolate(parameter, 0) == pytest.approx(low, rel=1e-9, abs=near)
    assert interpolate(parameter, 1) == pytest.approx(high, rel=1e-9, abs=near)


def test_interpolation_follows_the_scale() -> None:
    def middle(low: float, high: float, scale: Any) -> float:
        return interpolate(scaled(low, high, scale), 0.5)

    assert middle(2, 4, "linear") == 3
    assert middle(0.01, 1, "log") == pytest.approx(0.1)
    assert middle(0.01, 1, "reverse_log") == pytest.approx(0.91)
    assert middle(0.01, 1, "auto") == pytest.approx(0.1)
    # Without a logarithm at 0, a thousandth of the range is the smallest distance from max.
    assert middle(0, 1, "reverse_log") == pytest.approx(1.001 - math.sqrt(0.001 * 1.001))
    ints: Any = one(type="int", min=1, max=100, scale="log")
    assert interpolate(ints, 0.5) == pytest.approx(10)
