"""What a service's value means: the same for the result and for the script."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.bundle.launcher import launch_data
from cloudtune.fitting.capabilities import DRIVEN, Capabilities, Limit, ModeCapabilities
from cloudtune.fitting.fit import FittedStudy, fit, restore
from cloudtune.launcher.restore import restore_values
from cloudtune.study.search_space import Value, format_value, match_value, value_at
from cloudtune.study.study import Study

WRONG = "no value"
TENTHS = {"type": "float", "min": 0, "max": 1, "step": 0.1}
LARGE = {"type": "int", "min": 0, "max": 2**62}
WORDS = {"type": "categorical", "values": ["rbf", "007", "true", 1, True, 2.5, 1e-05]}

CASES: list[tuple[dict[str, Any], Any, Value]] = [
    # whole numbers, with all their digits
    (LARGE, "9007199254740993", 9007199254740993),
    (LARGE, 9007199254740993, 9007199254740993),
    (LARGE, "16.0", 16),
    (LARGE, 16.0, 16),
    (LARGE, "1.6e1", 16),
    (LARGE, "16.5", WRONG),
    (LARGE, "-1", WRONG),
    (LARGE, str(2**62 + 1), WRONG),
    (LARGE, "16)", WRONG),
    (LARGE, "1_6", WRONG),
    (LARGE, True, WRONG),
    (LARGE, "many", WRONG),
    (LARGE, "", WRONG),
    (LARGE, "1e999", WRONG),
    (LARGE, "9" * 5000, WRONG),
    (LARGE, [1], WRONG),
    ({"type": "int", "min": 1, "max": 9, "step": 3}, "7", 7),
    ({"type": "int", "min": 1, "max": 9, "step": 3}, "8", WRONG),
    # numbers on a continuum, and a little over its ends
    ({"type": "float", "min": 1e-3, "max": 9}, "2", 2.0),
    ({"type": "float", "min": 1e-3, "max": 9}, 0.001000000001, 0.001000000001),
    ({"type": "float", "min": 1e-3, "max": 9}, "0.0009999999999999998", 0.001),
    ({"type": "float", "min": 1e-3, "max": 9}, 9.0000001, 9.0),
    ({"type": "float", "min": 1e-3, "max": 9}, 9.1, WRONG),
    ({"type": "float", "min": 1e-3, "max": 9}, "nan", WRONG),
    ({"type": "float", "min": 1e-3, "max": 9}, math.inf, WRONG),
    ({"type": "float", "min": 1e-3, "max": 9}, False, WRONG),
    # numbers on a grid, rounded by a service
    (TENTHS, "0.30000000000000004", 0.3),
    (TENTHS, 0.30000000000000004, 0.3),
    (TENTHS, "0.9000000001", 0.9),
    (TENTHS, 0.10000000149011612, 0.1),
    (TENTHS, "1.0000000000000002", 1.0),
    (TENTHS, "0.35", WRONG),
    ({"type": "float", "min": 0, "max": 1, "step": 0.3}, 1, WRONG),
    ({"type": "float", "min": 0, "max": 1e6, "step": 1e-9}, "999999.999999999", 999999.999999999),
    # lists
    ({"type": "discrete", "values": [16, 32]}, "16.0", 16),
    ({"type": "discrete", "values": [16, 32]}, 32.0, 32),
    ({"type": "discrete", "values": [16, 32]}, 17, WRONG),
    ({"type": "discrete", "values": [16, 32]}, True, WRONG),
    ({"type": "discrete", "values": [0.1, 0.2]}, 0.20000000298023224, 0.2),
    ({"type": "discrete", "values": [0.0, 1.0]}, 1e-9, WRONG),
    (WORDS, "rbf", "rbf"),
    (WORDS, "007", "007"),
    (WORDS, "true", "true"),
    (WORDS, "True", True),
    (WORDS, True, True),
    (WORDS, 1, 1),
    (WORDS, "1", 1),
    (WORDS, 1.0, 1),
    (WORDS, "2.50", 2.5),
    (WORDS, "1e-5", 1e-05),
    (WORDS, "7", WRONG),
    (WORDS, 2.5000001, WRONG),
    ({"type": "categorical", "values": ["1", True]}, "1", "1"),
    ({"type": "categorical", "values": ["1", "2"]}, 2, "2"),
    # booleans
    ({"type": "bool"}, "true", True),
    ({"type": "bool"}, "False", False),
    ({"type": "bool"}, False, False),
    ({"type": "bool"}, "1", True),
    ({"type": "bool"}, 0, False),
    ({"type": "bool"}, 1.0, True),
    ({"type": "bool"}, "yes", WRONG),
    ({"type": "bool"}, 2, WRONG),
]
"""A definition, what a service says, and what it means."""

TEXT = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear"}),
        "int": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=False,
    conditions="none",
    single_values=False,
    max_values=Limit(30, "made up for this test"),
)


def fitted(parameters: dict[str, Any], support: ModeCapabilities) -> FittedStudy:
    study = Study.model_validate({"parameters": parameters})
    return fit(study, Capabilities("odd", "Odd", "offline only", support, None), "managed")


def in_result(fitted_study: FittedStudy, raw: dict[str, Any]) -> dict[str, Value]:
    return restore(fitted_study, raw)


def for_script(fitted_study: FittedStudy, raw: dict[str, Any]) -> dict[str, Value]:
    """Restore from the file next to the script."""
    file = json.loads(json.dumps(launch_data(fitted_study, "run", {})))
    return restore_values(file["parameters"], raw)


@pytest.mark.parametrize("support", [DRIVEN, TEXT], ids=["knows all", "speaks text"])
@pytest.mark.parametrize("side", [in_result, for_script])
@pytest.mark.parametrize(("definition", "raw", "expected"), CASES)
def test_launcher_and_results_restore_the_same_value(
    definition: dict[str, Any], raw: Any, expected: Value, side: Any, support: ModeCapabilities
) -> None:
    fitted_study = fitted({"x": definition}, support)
    if expected is WRONG:
        with pytest.raises(ValueError, match=r"invalid value .* for parameter x"):
            side(fitted_study, {"x": raw})
        return
    value = side(fitted_study, {"x": raw})["x"]
    assert value == expected
    assert type(value) is type(expected)


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
LISTED = st.lists(
    st.text(max_size=6) | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9),
    min_size=1,
    max_size=5,
    unique_by=format_value,
)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["float", "int", "step", "discrete", "categorical", "bool"]))
    if kind == "int":
        low, high = sorted(draw(st.tuples(*[st.integers(-(2**62), 2**62)] * 2)))
        return {"type": "int", "min": low, "max": high}
    if kind == "float":
        low, high = sorted(draw(st.tuples(*[st.floats(-1e300, 1e300)] * 2)))
        return {"type": "float", "min": low, "max": high}
    if kind == "step":
        low = draw(st.integers(-99, 99)) / draw(st.sampled_from([1, 3, 7, 10]))
        step = draw(st.sampled_from([0.1, 1 / 3, 0.25, 1e-3, 2.0]))
        return {"type": "float", "min": low, "max": low + 25 * step, "step": step}
    if kind == "discrete":
        numbers = draw(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5, unique=True))
        return {"type": "discrete", "values": sorted(numbers)}
    return {"type": "bool"} if kind == "bool" else {"type": kind, "values": draw(LISTED)}


def outcome(side: Any, fitted_study: FittedStudy, raw: Any) -> Any:
    try:
        return side(fitted_study, {"x": raw})["x"]
    except ValueError as error:
        return str(error)


@given(definitions(), NUMBERS | st.booleans() | st.text(max_size=8) | NUMBERS.map(format_value))
def test_launcher_and_results_agree_on_any_value(definition: dict[str, Any], raw: Any) -> None:
    fitted_study = fitted({"x": definition}, DRIVEN)
    value = outcome(in_result, fitted_study, raw)
    assert repr(outcome(for_script, fitted_study, raw)) == repr(value)
    match = (
        None if isinstance(raw, str) else match_value(fitted_study.original.parameters["x"][0], raw)
    )
    assert match is None or match == value, "the study itself reads it in another way"


@given(
    st.integers(-999, 999),
    st.sampled_from([0.1, 0.07, 1 / 3, 1e-9 / 7, 12.5]),
    st.integers(0, 10**9 - 1),
    st.booleans(),
)
def test_every_value_of_a_grid_comes_back(low: int, step: float, index: int, as_text: bool) -> None:
    high = float(Decimal(low) + Decimal(repr(step)) * 10**9)
    definition = {"type": "float", "min": float(low), "max": high, "step": step}
    fitted_study = fitted({"x": definition}, DRIVEN)
    value = value_at(fitted_study.original.parameters["x"][0], index)
    assert in_result(fitted_study, {"x": format_value(value) if as_text else value}) == {"x": value}
    assert match_value(fitted_study.original.parameters["x"][0], value) == value


def test_values_between_steps_come_back_if_the_step_was_dropped() -> None:
    fitted_study = fitted({"x": TENTHS | {"step": 0.001}}, TEXT)
    assert fitted_study.stepless_keys == {"x"}
    assert (
        in_result(fitted_study, {"x": "0.12345"})
        == for_script(fitted_study, {"x": "0.12345"})
        == {"x": 0.12345}
    )
