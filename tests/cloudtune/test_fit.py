from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.capabilities import DRIVEN, Capabilities, Limit, ModeCapabilities
from cloudtune.fit import Fitted, fit, restore
from cloudtune.space import Space, Value, text
from cloudtune.study import CategoricalParameter, DiscreteParameter, Study

EVERYTHING = DRIVEN
TEXT = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear"}),
        "categorical": frozenset[str](),
    },
    steps=False,
    conditions=False,
    text_only=True,
    single_values=False,
    max_values=Limit(30, "made up for this test"),
)


def fitted(parameters: dict[str, Any], able: ModeCapabilities = TEXT, **over: Any) -> Fitted:
    study = Study.model_validate({"parameters": parameters, **over})
    return fit(study, Capabilities("odd", "Odd", "offline only", able, None), "managed")


def said(of: Fitted) -> set[tuple[str, str]]:
    return {(finding.kind, finding.path) for finding in of.findings}


def test_nothing_changes_where_everything_is_known() -> None:
    tree = {
        "a": {"type": "bool"},
        "b": {"type": "float", "min": 0, "max": 1, "step": 0.1, "when": {"a": True}},
        "c": {"type": "int", "min": 3, "max": 3},
    }
    of = fitted(tree, EVERYTHING)
    assert not of.findings
    assert of.study.parameters == of.original.parameters


def test_conditions_are_flattened_with_one_finding_and_inactive_values_left_out() -> None:
    of = fitted(
        {
            "kernel": {"type": "categorical", "values": ["rbf", "poly"]},
            "degree": {"type": "int", "min": 2, "max": 5, "when": {"kernel": "poly"}},
        }
    )
    assert said(of) == {("approximated", "parameters.degree.when")}
    assert of.flattened
    assert of.study.parameters["degree"][0].when is None
    assert restore(of, {"kernel": "rbf", "degree": "3"}) == {"kernel": "rbf"}
    assert restore(of, {"kernel": "poly", "degree": "3"}) == {"kernel": "poly", "degree": 3}


def test_a_name_defined_twice_is_sent_under_two_names() -> None:
    of = fitted(
        {
            "kernel": {"type": "categorical", "values": ["rbf", "poly"]},
            "gamma": [
                {"type": "float", "min": 0.1, "max": 1, "when": {"kernel": "rbf"}},
                {"type": "float", "min": 10, "max": 20, "when": {"kernel": "poly"}},
            ],
        }
    )
    assert list(of.study.parameters) == ["kernel", "gamma", "gamma-2"]
    assert ("approximated", "parameters.gamma.1") in said(of)
    raw = {"kernel": "poly", "gamma": "0.5", "gamma-2": "12.5"}
    assert restore(of, raw) == {"kernel": "poly", "gamma": 12.5}


def test_one_value_becomes_a_constant_and_comes_back() -> None:
    of = fitted(
        {
            "a": {"type": "categorical", "values": ["x", "y"]},
            "n": {"type": "int", "min": 4, "max": 4},
        }
    )
    assert of.fixed == {"n": 4}
    assert list(of.study.parameters) == ["a"]
    assert restore(of, {"a": "x"}) == {"a": "x", "n": 4}


def test_a_step_becomes_values() -> None:
    of = fitted({"a": {"type": "float", "min": 0, "max": 1, "step": 0.25}})
    (parameter,) = of.study.parameters["a"]
    assert isinstance(parameter, CategoricalParameter)
    assert parameter.values == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert said(of) == {("approximated", "parameters.a")}
    assert restore(of, {"a": "0.75"}) == {"a": 0.75}


def test_a_step_stays_a_list_in_order_where_there_are_discrete_parameters() -> None:
    able = replace(TEXT, parameters={**TEXT.parameters, "discrete": frozenset({"linear"})})
    of = fitted({"a": {"type": "int", "min": 0, "max": 100, "step": 25}}, able)
    (parameter,) = of.study.parameters["a"]
    assert isinstance(parameter, DiscreteParameter)
    assert parameter.values == [0, 25, 50, 75, 100]
    assert not of.findings


def test_too_fine_a_step_is_dropped_and_says_so() -> None:
    of = fitted({"a": {"type": "float", "min": 0, "max": 1, "step": 0.001}})
    assert said(of) == {("dropped", "parameters.a.step")}


def test_what_cannot_be_listed_is_refused() -> None:
    able = replace(TEXT, parameters={"categorical": frozenset[str]()})
    of = fitted(
        {"a": {"type": "float", "min": 0, "max": 1}, "b": {"type": "int", "min": 1, "max": 31}},
        able,
    )
    assert said(of) == {("refused", "parameters.a"), ("refused", "parameters.b")}


def test_values_that_are_one_text_are_refused_where_a_service_speaks_text() -> None:
    of = fitted({"a": {"type": "categorical", "values": [1, "1"]}})
    assert said(of) == {("refused", "parameters.a.values")}


def test_a_missing_scale_is_approximated_and_auto_is_decided() -> None:
    of = fitted(
        {
            "a": {"type": "int", "min": 1, "max": 100, "scale": "log"},
            "b": {"type": "float", "min": 1, "max": 100, "scale": "auto"},
            "c": {"type": "float", "min": 1, "max": 99, "scale": "auto"},
        }
    )
    assert said(of) == {("approximated", "parameters.a.scale")}
    assert [note.text for note in of.notes] == ["auto is read as log", "auto is read as linear"]


@pytest.mark.parametrize(
    ("raw", "wrong"), [({"a": "7"}, "7"), ({"a": "2.5"}, "2.5"), ({"a": "many"}, "many")]
)
def test_a_value_that_the_parameter_cannot_have_is_not_restored(
    raw: dict[str, str], wrong: str
) -> None:
    of = fitted({"a": {"type": "int", "min": 1, "max": 5}})
    with pytest.raises(ValueError, match=wrong):
        restore(of, raw)


def test_a_whole_number_that_a_service_made_a_float_comes_back_whole() -> None:
    able = replace(TEXT, parameters={**TEXT.parameters, "discrete": frozenset({"linear"})})
    of = fitted(
        {"a": {"type": "int", "min": 1, "max": 5}, "b": {"type": "discrete", "values": [16, 32]}},
        able,
    )
    back = restore(of, {"a": 3.0, "b": 32.0})
    assert back == {"a": 3, "b": 32}
    assert all(type(value) is int for value in back.values())


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
)
VALUES = st.lists(
    WORDS | st.integers(-99, 99) | st.booleans() | st.floats(-9, 9),
    min_size=2,
    max_size=6,
    unique_by=text,
)


@given(values=VALUES, place=st.integers(0, 5))
def test_any_value_survives_text(values: list[Value], place: int) -> None:
    of = fitted({"a": {"type": "categorical", "values": values}})
    value = values[place % len(values)]
    back = restore(of, {"a": text(value)})["a"]
    assert back == value
    assert type(back) is type(value)


@given(share=st.floats(0, 1), low=st.floats(-1e6, 1e6), span=st.floats(1e-6, 1e6))
def test_any_float_survives_text(share: float, low: float, span: float) -> None:
    high = low + span
    of = fitted({"a": {"type": "float", "min": low, "max": high}})
    value = min(max(low + share * span, low), high)
    assert restore(of, {"a": text(value)}) == {"a": value}


@given(flags=st.lists(st.booleans(), min_size=3, max_size=3))
def test_restore_gives_the_active_part_and_nothing_else(flags: list[bool]) -> None:
    tree = {
        "a": {"type": "bool"},
        "b": {"type": "bool", "when": {"a": True}},
        "c": {"type": "bool", "when": {"b": [True]}},
    }
    of = fitted(tree)
    whole = dict(zip("abc", flags, strict=True))
    back = restore(of, {name: text(value) for name, value in whole.items()})
    assert back == Space.of(of.original).restrict(whole)
