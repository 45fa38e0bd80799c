from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.fitting.capabilities import DRIVEN, Capabilities, Limit, ModeCapabilities
from cloudtune.fitting.fit import FittedStudy, fit, restore
from cloudtune.study.schema import CategoricalParameter, DiscreteParameter
from cloudtune.study.search_space import Space, Value, format_value
from cloudtune.study.study import Study
from cloudtune.study.validation.option_values import LOST_TEXT
from cloudtune.study.validation.values import comparison_key

EVERYTHING = DRIVEN
TEXT = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=False,
    conditions="none",
    text_only=True,
    single_values=False,
    max_values=Limit(30, "made up for this test"),
)


def fitted(
    parameters: dict[str, Any], support: ModeCapabilities = TEXT, **fields: Any
) -> FittedStudy:
    study = Study.model_validate({"parameters": parameters, **fields})
    return fit(study, Capabilities("odd", "Odd", "offline only", support, None), "managed")


def finding_paths(result: FittedStudy) -> set[tuple[str, str]]:
    return {(finding.kind, finding.path) for finding in result.findings}


def test_nothing_changes_if_everything_is_supported() -> None:
    tree = {
        "a": {"type": "bool"},
        "b": {"type": "float", "min": 0, "max": 1, "step": 0.1, "when": {"a": True}},
        "c": {"type": "int", "min": 3, "max": 3},
    }
    result = fitted(tree, EVERYTHING)
    assert not result.findings
    assert result.study.parameters == result.original.parameters


def test_conditions_are_flattened_with_one_finding() -> None:
    result = fitted(
        {
            "kernel": {"type": "categorical", "values": ["rbf", "poly"]},
            "degree": {"type": "int", "min": 2, "max": 5, "when": {"kernel": "poly"}},
        }
    )
    assert finding_paths(result) == {("approximated", "parameters.degree.when")}
    assert result.flattened
    assert result.study.parameters["degree"][0].when is None
    assert restore(result, {"kernel": "rbf", "degree": "3"}) == {"kernel": "rbf"}
    assert restore(result, {"kernel": "poly", "degree": "3"}) == {"kernel": "poly", "degree": 3}


def test_a_name_defined_twice_is_sent_under_two_names() -> None:
    result = fitted(
        {
            "kernel": {"type": "categorical", "values": ["rbf", "poly"]},
            "gamma": [
                {"type": "float", "min": 0.1, "max": 1, "when": {"kernel": "rbf"}},
                {"type": "float", "min": 10, "max": 20, "when": {"kernel": "poly"}},
            ],
        }
    )
    assert list(result.study.parameters) == ["kernel", "gamma", "gamma-2"]
    assert ("approximated", "parameters.gamma.1") in finding_paths(result)
    raw = {"kernel": "poly", "gamma": "0.5", "gamma-2": "12.5"}
    assert restore(result, raw) == {"kernel": "poly", "gamma": 12.5}


def test_one_value_becomes_a_constant_and_comes_back() -> None:
    result = fitted(
        {
            "a": {"type": "categorical", "values": ["x", "y"]},
            "n": {"type": "int", "min": 4, "max": 4},
        }
    )
    assert result.fixed_values == {"n": 4}
    assert list(result.study.parameters) == ["a"]
    assert restore(result, {"a": "x"}) == {"a": "x", "n": 4}


def test_a_step_becomes_values() -> None:
    result = fitted({"a": {"type": "float", "min": 0, "max": 1, "step": 0.25}})
    (parameter,) = result.study.parameters["a"]
    assert isinstance(parameter, CategoricalParameter)
    assert parameter.values == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert finding_paths(result) == {("approximated", "parameters.a")}
    assert restore(result, {"a": "0.75"}) == {"a": 0.75}


def test_a_step_stays_a_list_in_order_where_there_are_discrete_parameters() -> None:
    support = replace(TEXT, parameters={**TEXT.parameters, "discrete": frozenset({"linear"})})
    result = fitted({"a": {"type": "int", "min": 0, "max": 100, "step": 25}}, support)
    (parameter,) = result.study.parameters["a"]
    assert isinstance(parameter, DiscreteParameter)
    assert parameter.values == [0, 25, 50, 75, 100]
    assert not result.findings


def test_too_fine_a_step_is_dropped_with_a_finding() -> None:
    result = fitted({"a": {"type": "float", "min": 0, "max": 1, "step": 0.001}})
    assert finding_paths(result) == {("dropped", "parameters.a.step")}


def test_a_parameter_that_cannot_be_listed_is_refused() -> None:
    support = replace(TEXT, parameters={"categorical": frozenset()})
    result = fitted(
        {"a": {"type": "float", "min": 0, "max": 1}, "b": {"type": "int", "min": 1, "max": 31}},
        support,
    )
    assert finding_paths(result) == {("refused", "parameters.a"), ("refused", "parameters.b")}


def test_values_with_equal_texts_are_refused_if_sent_as_text() -> None:
    result = fitted({"a": {"type": "categorical", "values": [1, "1"]}})
    assert finding_paths(result) == {("refused", "parameters.a.values")}


def test_an_unsupported_scale_is_approximated_and_auto_is_resolved() -> None:
    result = fitted(
        {
            "a": {"type": "int", "min": 1, "max": 100, "scale": "log"},
            "b": {"type": "float", "min": 1, "max": 100, "scale": "auto"},
            "c": {"type": "float", "min": 1, "max": 99, "scale": "auto"},
        }
    )
    assert finding_paths(result) == {("approximated", "parameters.a.scale")}
    assert [note.text for note in result.notes] == ["auto is read as log", "auto is read as linear"]


@pytest.mark.parametrize(
    ("raw", "wrong"), [({"a": "7"}, "7"), ({"a": "2.5"}, "2.5"), ({"a": "many"}, "many")]
)
def test_a_value_that_the_parameter_cannot_have_is_not_restored(
    raw: dict[str, str], wrong: str
) -> None:
    result = fitted({"a": {"type": "int", "min": 1, "max": 5}})
    with pytest.raises(ValueError, match=wrong):
        restore(result, raw)


def test_an_integer_sent_back_as_a_float_is_restored() -> None:
    support = replace(TEXT, parameters={**TEXT.parameters, "discrete": frozenset({"linear"})})
    result = fitted(
        {"a": {"type": "int", "min": 1, "max": 5}, "b": {"type": "discrete", "values": [16, 32]}},
        support,
    )
    back = restore(result, {"a": 3.0, "b": 32.0})
    assert back == {"a": 3, "b": 32}
    assert all(type(value) is int for value in back.values())


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
).filter(lambda text: text != LOST_TEXT)
VALUES = st.lists(
    WORDS | st.integers(-99, 99) | st.booleans() | st.floats(-9, 9),
    min_size=2,
    max_size=6,
    unique_by=(format_value, comparison_key),  # a study refuses equal values
)


@given(values=VALUES, place=st.integers(0, 5))
def test_any_value_survives_text(values: list[Value], place: int) -> None:
    result = fitted({"a": {"type": "categorical", "values": values}})
    value = values[place % len(values)]
    back = restore(result, {"a": format_value(value)})["a"]
    assert back == value
    assert type(back) is type(value)


@given(share=st.floats(0, 1), low=st.floats(-1e6, 1e6), span=st.floats(1e-6, 1e6))
def test_any_float_survives_text(share: float, low: float, span: float) -> None:
    high = low + span
    result = fitted({"a": {"type": "float", "min": low, "max": high}})
    value = min(max(low + share * span, low), high)
    assert restore(result, {"a": format_value(value)}) == {"a": value}


@given(flags=st.lists(st.booleans(), min_size=3, max_size=3))
def test_restore_returns_active_parameters_only(flags: list[bool]) -> None:
    tree = {
        "a": {"type": "bool"},
        "b": {"type": "bool", "when": {"a": True}},
        "c": {"type": "bool", "when": {"b": [True]}},
    }
    result = fitted(tree)
    whole = dict(zip("abc", flags, strict=True))
    back = restore(result, {name: format_value(value) for name, value in whole.items()})
    active = [node.name for node in Space.from_study(result.original).active_nodes(whole)]
    assert back == {name: whole[name] for name in active}


# Conditions on parameters with one value, where a service has conditions but no such parameters.

TREE = replace(TEXT, conditions="tree", text_only=False)
CONSTANTS = replace(EVERYTHING, single_values=False)
ONE = {"type": "categorical", "values": ["a"]}
FLAG = {"type": "bool"}


def conditions(result: FittedStudy) -> dict[str, list[Any]]:
    return {name: [p.when for p in many] for name, many in result.study.parameters.items()}


@pytest.mark.parametrize("support", [TREE, TEXT], ids=["conditions", "none"])
def test_a_condition_on_one_value_is_resolved(support: ModeCapabilities) -> None:
    result = fitted(
        {
            "late": FLAG | {"when": {"child": True}},
            "fixed": ONE,
            "child": FLAG | {"when": {"fixed": ["a"]}},
            "free": {"type": "int", "min": 3, "max": 9},
            "lost": FLAG | {"when": {"gone": 7}},
            "gone": {"type": "int", "min": 7, "max": 7, "when": {"off": False}},
            "off": {"type": "bool", "when": {"one": 1, "child": False}},
            "one": {"type": "int", "min": 1, "max": 1, "when": {"child": True}},
        },
        support,
    )
    assert result.fixed_values == {"fixed": "a", "one": 1}
    when = {"child": True} if support is TREE else None
    assert conditions(result) == {
        "late": [{"child": [True]} if when else None],
        "child": [None],
        "free": [None],
    }
    lost = [note.path for note in result.notes if "never be active" in note.text]
    assert lost == ["parameters.lost", "parameters.gone", "parameters.off"]
    raw = {"late": "True", "child": "True", "free": "4"}
    assert restore(result, raw) == {
        "fixed": "a",
        "child": True,
        "late": True,
        "free": 4,
        "one": 1,
    }


def test_resolved_conditions_are_not_flattened() -> None:
    result = fitted({"fixed": ONE, "child": FLAG | {"when": {"fixed": "a"}}}, TEXT)
    assert not result.findings
    assert not result.flattened
    assert restore(result, {"child": "False"}) == {"fixed": "a", "child": False}


def test_the_condition_of_a_constant_takes_its_place() -> None:
    result = fitted(
        {
            "kernel": {"type": "categorical", "values": ["x", "y", "z"]},
            "fixed": ONE | {"when": {"kernel": ["x", "y"]}},
            "child": FLAG | {"when": {"fixed": "a", "kernel": ["y", "z"]}},
            "apart": FLAG | {"when": {"fixed": "a", "kernel": "z"}},
        },
        CONSTANTS,
    )
    assert conditions(result) == {"kernel": [None], "child": [{"kernel": ["y"]}]}
    assert [note.path for note in result.notes] == ["parameters.apart", "parameters.fixed"]
    assert restore(result, {"kernel": "z", "child": True}) == {"kernel": "z"}
    assert restore(result, {"kernel": "y", "child": True}) == {
        "kernel": "y",
        "fixed": "a",
        "child": True,
    }


BOTH: dict[str, Any] = {
    "kernel": {"type": "categorical", "values": ["x", "y", "z"]},
    "g": [
        {"type": "int", "min": 5, "max": 5, "when": {"kernel": "x"}},
        {"type": "int", "min": 3, "max": 6, "when": {"kernel": "y"}},
        {"type": "int", "min": 8, "max": 8, "when": {"kernel": "z"}},
    ],
    "g-2": {"type": "bool"},
}


def test_a_constant_and_a_tuned_definition_have_different_names() -> None:
    result = fitted(BOTH, CONSTANTS, constants={"g-3": 1})
    assert list(result.study.parameters) == ["kernel", "g", "g-2"]
    assert result.fixed_values == {"g-4": 5, "g-5": 8}
    assert finding_paths(result) == {
        ("approximated", "parameters.g.0"),
        ("approximated", "parameters.g.2"),
    }
    raw = {"g": 4, "g-2": True, "g-4": 5, "g-5": 8}
    wanted = {"x": 5, "y": 4, "z": 8}
    for kernel, g in wanted.items():
        assert restore(result, raw | {"kernel": kernel}) == {"kernel": kernel, "g": g, "g-2": True}


def test_a_condition_that_needs_a_constant_beside_others_is_refused() -> None:
    result = fitted(
        BOTH
        | {
            "needs": FLAG | {"when": {"g": [4, 5]}},
            "tuned": FLAG | {"when": {"g": 4}},
            "first": FLAG | {"when": {"g": 5, "kernel": "x"}},
        },
        CONSTANTS,
    )
    assert conditions(result)["tuned"] == [{"g": [4]}]
    assert ("refused", "parameters.needs.when.g") in finding_paths(result)
    assert ("refused", "parameters.tuned.when.g") not in finding_paths(result)
    assert ("refused", "parameters.first.when.g") in finding_paths(result), (
        "the tuned g may be 5 too"
    )


def test_findings_name_their_definition() -> None:
    fine = {"type": "float", "min": 0, "max": 1, "step": 0.001, "when": {"kernel": "y"}}
    rough = {"type": "float", "min": 0, "max": 1, "when": {"kernel": "x"}}
    result = fitted({"kernel": BOTH["kernel"], "g": [rough, fine]}, TREE)
    assert finding_paths(result) == {("dropped", "parameters.g.1.step")}


def test_one_value_needs_no_list_to_be_sent() -> None:
    result = fitted({"n": {"type": "discrete", "values": [4]}, "b": FLAG}, TEXT)
    assert result.fixed_values == {"n": 4}
    assert not result.findings


def test_the_engine_resolves_the_scale_auto() -> None:
    study = Study.model_validate(
        {"parameters": {"x": {"type": "float", "min": 1, "max": 100, "scale": "auto"}}}
    )
    both = Capabilities("odd", "Odd", "offline only", EVERYTHING, DRIVEN)
    assert [note.text for note in fit(study, both, "driven").notes] == ["auto is read as log"]
    assert not fit(study, both, "driven").findings
    managed = fit(study, both, "managed")
    assert not managed.notes
    assert managed.study.parameters == study.parameters


@given(st.data())
def test_resolved_conditions_change_no_assignment(data: st.DataObject) -> None:
    """Whatever hangs on what: a service with conditions gets the same trials as the study has."""
    tree: dict[str, Any] = {}
    for name in "abcde":
        definition = data.draw(
            st.sampled_from(
                [
                    {"type": "int", "min": 1, "max": 1},
                    {"type": "int", "min": 1, "max": 2},
                    {"type": "int", "min": 2, "max": 3},
                ]
            )
        )
        parents = data.draw(st.lists(st.sampled_from(sorted(tree)), max_size=2)) if tree else []
        when = {parent: data.draw(st.sampled_from([[1], [2], [1, 2]])) for parent in parents}
        tree[name] = definition | {"when": when or None}
    study = Study.model_validate({"parameters": tree}, context={"parts_only": True})
    result = fit(study, Capabilities("odd", "Odd", "offline only", CONSTANTS, None), "managed")
    before = [dict(sorted(each.items())) for each in Space.from_study(study).grid()]
    grid = Space.from_study(result.study).grid()
    back = [dict(sorted(restore(result, {**each, **result.fixed_values}).items())) for each in grid]
    assert sorted(map(str, back)) == sorted(map(str, before))


# Conditions that all depend on one parameter, where a service takes a definition for each value of
# it; and grids that take nothing but lists.

ROOTED = replace(TEXT, conditions="one_root", parameters=DRIVEN.parameters)
FOREST: dict[str, Any] = {
    "model": {"type": "categorical", "values": ["svm", "boost"]},
    "gamma": {"type": "float", "min": 0.1, "max": 1, "when": {"model": "svm"}},
    "depth": {"type": "int", "min": 2, "max": 5, "when": {"model": "boost"}},
    "seed": {"type": "int", "min": 0, "max": 9},
}


def test_conditions_on_a_root_are_kept() -> None:
    result = fitted(FOREST, ROOTED)
    assert result.root == "model"
    assert not result.flattened
    assert not result.findings
    assert conditions(result)["gamma"] == [{"model": ["svm"]}]
    raw = {"model": "boost", "depth": "3", "seed": "4"}
    assert restore(result, raw) == {"model": "boost", "depth": 3, "seed": 4}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"early_stopping": "median"}, "supports these conditions only without early_stopping:"),
        (
            {"warm_start": {"from": "sagemaker:before"}},
            "supports these conditions only without warm_start:",
        ),
        (
            {"strategy": "genetic", "early_stopping": "auto"},
            "only with a bayesian or random strategy, not genetic and without early_stopping:",
        ),
        (
            {"strategy": {"name": "hyperband", "max": 9}},
            "only with a bayesian or random strategy, not hyperband:",
        ),
    ],
)
def test_no_root_if_the_study_needs_a_job_without_parts(
    fields: dict[str, Any], reason: str
) -> None:
    result = fitted(FOREST, ROOTED, **fields)
    assert result.root is None
    assert result.flattened
    assert reason in flattening(result)


def flattening(result: FittedStudy) -> str:
    (found,) = [each for each in result.findings if each.path.endswith(".when")]
    assert found.kind == "approximated"
    return found.reason


def test_a_dropped_rule_does_not_prevent_a_root() -> None:
    support = replace(ROOTED, early_stopping=frozenset({"median"}))
    result = fitted(FOREST, support, early_stopping="bandit")
    assert finding_paths(result) == {("dropped", "early_stopping")}
    assert result.root == "model"


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (
            {**FOREST, "seed": {"type": "int", "min": 0, "max": 9, "when": {"depth": 2}}},
            "on one parameter only, not on depth and model:",
        ),
        (
            {"model": FOREST["model"], "gamma": FOREST["gamma"]},
            "needs a parameter to tune for each value of model:",
        ),
        (
            {**FOREST, "model": {"type": "categorical", "values": ["svm", "boost", *range(9)]}},
            "with at most 10 values, but model has 11:",
        ),
        (
            {"n": {"type": "int", "min": 1, "max": 2}, "m": {**FOREST["seed"], "when": {"n": 1}}},
            "on categorical and bool parameters only, not on n:",
        ),
    ],
    ids=["a second level", "a value with nothing to tune", "eleven values", "a number"],
)
def test_no_root_in_other_trees(tree: dict[str, Any], reason: str) -> None:
    result = fitted(tree, ROOTED)
    assert result.root is None
    assert result.flattened
    assert reason in flattening(result)


def test_a_grid_of_lists_receives_lists() -> None:
    tree = {
        "n": {"type": "int", "min": 1, "max": 3},
        "x": {"type": "float", "min": 0, "max": 1, "step": 0.5},
        "b": {"type": "bool"},
        "s": {"type": "discrete", "values": [8, 16]},
    }
    result = fitted(tree, replace(DRIVEN, grid_of_values=True), strategy="grid")
    assert not result.findings
    values = {
        name: found[0].model_dump()["values"] for name, found in result.study.parameters.items()
    }
    assert values == {"n": [1, 2, 3], "x": [0.0, 0.5, 1.0], "b": [False, True], "s": [8, 16]}
    assert {note.path for note in result.notes} == {f"parameters.{name}" for name in tree}


def test_a_grid_of_lists_refuses_ranges() -> None:
    support = replace(TEXT, grid_of_values=True)
    result = fitted({"n": {"type": "int", "min": 1, "max": 31}}, support, strategy="grid")
    assert finding_paths(result) == {("refused", "parameters.n")}


def test_a_grid_sent_as_trials_supports_everything() -> None:
    tree = {
        "a": {"type": "bool"},
        "n": {"type": "int", "min": 1, "max": 100, "scale": "log"},
        "x": {"type": "float", "min": 0, "max": 1, "step": 0.5, "when": {"a": True}},
        "one": {"type": "discrete", "values": [8]},
    }
    support = replace(TEXT, grid_of_trials=True)
    result = fitted(tree, support, strategy="grid")
    assert not result.findings
    assert not result.notes
    assert result.study == result.original
    assert not result.flattened
    assert not result.fixed_values
    assert fitted(tree, support, strategy="random").findings
    text = {"w": {"type": "categorical", "values": ["1", 1]}}
    assert finding_paths(fitted(text, support, strategy="grid")) == {
        ("refused", "parameters.w.values")
    }
