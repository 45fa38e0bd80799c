"""Search spaces and conditions that are derived from the values of trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.formats.tool_runs.rebuilt import rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace
from cloudtune.provider.facts import Parent
from cloudtune.search.sampling import filter_prior_trials
from cloudtune.study.search_space import Space

OBJECTIVE = [{"metric": "loss", "goal": "minimize"}]


def derive(configs: Sequence[dict[str, Any]], **options: Any) -> DerivedSpace:
    space = ObservedSpace("the tool", **options)
    for config in configs:
        space.add(config)
    return space.derive()


@pytest.mark.parametrize(
    ("values", "definition"),
    [
        ([0.5, 0.7, 0.6], {"type": "float", "min": 0.5, "max": 0.7}),
        ([1e-4, 0.1], {"type": "float", "min": 1e-4, "max": 0.1, "scale": "auto"}),
        ([1, 2.5, 3], {"type": "float", "min": 1.0, "max": 3.0}),
        ([2, 3, 4] * 3, {"type": "int", "min": 2, "max": 4}),
        ([16, 32, 128] * 3, {"type": "discrete", "values": [16, 32, 128]}),
        ([16, 32, 128], {"type": "int", "min": 16, "max": 128}),
        ([0.1, 0.3] * 3, {"type": "discrete", "values": [0.1, 0.3]}),
        ([True, False], {"type": "bool"}),
        (["a", "b"], {"type": "categorical", "values": ["a", "b"]}),
        (["auto", 3], {"type": "categorical", "values": ["auto", 3]}),
        ([1, True], {"type": "categorical", "values": [1, True]}),
        ([[64, 64], [128]], {"type": "categorical", "values": ["[64, 64]", "[128]"]}),
        ([None, "x"], {"type": "categorical", "values": ["null", "x"]}),
        ([10**30, 1], {"type": "float", "min": 1.0, "max": 1e30, "scale": "auto"}),
    ],
)
def test_the_type_of_a_parameter(values: list[Any], definition: dict[str, Any]) -> None:
    space = derive([{"x": value, "other": n} for n, value in enumerate(values)])
    assert space.parameters["x"] == definition
    rebuild_study("s", OBJECTIVE, space, "")


def test_what_never_changes_is_a_constant_unless_there_is_one_trial() -> None:
    space = derive([{"x": n, "epochs": 5} for n in range(3)])
    assert (space.constants, [*space.parameters]) == ({"epochs": 5}, ["x"])
    assert space.assignment({"x": 1, "epochs": 5}) == {"x": 1}
    assert [*derive([{"x": 1, "epochs": 5}]).parameters] == ["x", "epochs"]


def test_values_that_cannot_be_are_listed() -> None:
    configs = [
        {"x": n, "bad": float("nan"), "long": "y" * 2000, "token": "hf_" + "a" * 30, " ": 1}
        for n in range(3)
    ]
    space = derive(configs)
    assert [*space.parameters] == ["x"]
    text = " ".join(map(str, space.findings))
    assert "bad, long" in text
    assert "token left out: looks like a secret" in text


def test_text_that_differs_in_each_of_many_trials_is_left_out() -> None:
    space = derive([{"x": n, "path": f"/runs/{n}"} for n in range(1500)])
    assert [*space.parameters] == ["x"]
    assert "path left out: text that differs in each trial" in str(space.findings[1])


def test_numbers_of_a_tool_with_texts_stay_text_if_one_is() -> None:
    space = derive([{"x": value} for value in (1, "01", 2.5)], has_texts=True)
    assert space.parameters["x"] == {"type": "categorical", "values": ["1", "01", "2.5"]}
    assert space.assignment({"x": 2.5}) == {"x": "2.5"}


def conditional(number: int) -> dict[str, Any]:
    kernel = ("linear", "rbf", "poly")[number % 3]
    config: dict[str, Any] = {"C": 1.5 * number, "kernel": kernel}
    if kernel != "linear":
        config["gamma"] = 0.1 * number
    if kernel == "poly":
        config["shift"] = number % 2 == 0
        if config["shift"]:
            config["degree"] = number
    return config


def test_conditions_in_conditions() -> None:
    configs = [conditional(number) for number in range(30)]
    space = derive(configs)
    when = {name: each["when"] for name, each in space.parameters.items() if "when" in each}
    assert when == {
        "gamma": {"kernel": ["rbf", "poly"]},
        "shift": {"kernel": ["poly"]},
        "degree": {"shift": [True]},
    }
    study = rebuild_study("s", OBJECTIVE, space, "")
    prior = [Parent(space.assignment(each), (1.0,)) for each in configs]
    assert len(filter_prior_trials(Space.from_study(study), 1, prior)) == 30


def test_a_number_of_layers_explains_their_sizes() -> None:
    configs = [
        {"layers": 1 + n % 3, **{f"units{k}": 8 * n + k for k in range(1 + n % 3)}}
        for n in range(12)
    ]
    space = derive(configs)
    assert space.parameters["units1"]["when"] == {"layers": [2, 3]}
    assert space.parameters["units2"]["when"] == {"layers": [3]}


def test_chance_explains_nothing() -> None:
    configs = [{"a": n * n, "b": f"v{n}"} | ({"c": n} if n % 2 else {}) for n in range(10)]
    space = derive(configs)
    assert not any("when" in each for each in space.parameters.values())
    assert "some trials lack c, and no other parameter explains it" in str(space.findings[1])


def test_trials_that_failed_early_do_not_count() -> None:
    space = ObservedSpace("the tool")
    for number in range(12):
        space.add(conditional(number))
    space.add({"C": 1.0}, is_complete=False)
    space.add({}, is_complete=False)
    derived = space.derive()
    assert derived.parameters["gamma"]["when"]
    assert not any("some trials lack" in str(each) for each in derived.findings)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), min_size=1, max_size=8))
@example([{"=": False}])
def test_any_configurations_become_a_study_that_holds_them(configs: list[dict[str, Any]]) -> None:
    space = derive(configs)
    study = rebuild_study("s", OBJECTIVE, space, "")
    nodes = {node.name: node for node in Space.from_study(study).nodes}
    for config in configs:
        for name, value in space.assignment(config).items():
            parameter = nodes[name].parameter
            values = getattr(parameter, "values", None)
            if values is not None:
                assert any(type(each) is type(value) and each == value for each in values)
