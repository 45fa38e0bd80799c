"""Mistakes in constraints, each where it is, and what the language computes."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.errors import StudyError
from cloudtune.study import feasibility
from cloudtune.study.constraints import (
    outcome_constraints,
    outcome_margins,
    parameter_constraints,
)
from cloudtune.study.expression_parser import parse
from cloudtune.study.expressions import COMPARISONS, ExpressionError
from cloudtune.study.feasibility import (
    can_complete,
    draw_allowed,
    draw_uniform,
    is_infeasible,
)
from cloudtune.study.loader import loads
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

HEAD = """objective: {metric: loss, goal: minimize}
parameters:
  layers: {type: int, min: 1, max: 12}
  width: {type: discrete, values: [64, 128]}
  lr: {type: float, min: 0, max: 1}
  kind: {type: categorical, values: [adam, sgd]}
  deep: {type: bool}
  p: {type: float, min: 0, max: 1, when: {kind: sgd}}
constants: {limit: 300}
constraints:
"""
MISTAKES = {
    "layers * wdith <= 4096": "column 10: unknown name wdith",
    "layers *": "column 9: expected a name or a number instead of the end",
    "* layers": "column 1: expected a name or a number instead of *",
    "layers + width": "column 1: is a number, not a condition",
    "layers = 3": "column 8: unexpected =; write == to compare",
    "layers < 'a'": "column 10: < needs numbers, not a text",
    "kind < lr": "column 1: < needs numbers, not a text",
    "kind == 3": "column 6: text is compared with number",
    "layers == 'a'": "column 8: number is compared with text",
    "kind == plain": "text is compared with number (if plain is a value, write 'plain')",
    "layers and deep": "column 1: and needs conditions, not a number",
    "3 < 4": "has no parameter and no metric",
    "limit < 4": "has no parameter and no metric",
    "exp(layers) < 3": "column 1: there is no function exp; use min, max, abs",
    "abs(layers, lr) < 3": "column 1: abs needs one value",
    "max(layers) < 3": "column 1: max needs several values",
    "(layers < 3": "column 12: expected ) instead of the end",
    "layers < 3)": "column 11: unexpected )",
    "layers.width == 3": "column 1: unknown name layers.width",
    "layers[0] < 3": "column 7: unexpected [",
    "lambda: layers": "column 7: unexpected :",
    "": "column 1: expected a name or a number instead of the end",
    "layers < " + "(" * 40 + "1" + ")" * 40: "is nested more than 30 deep",
    "layers < " + "-" * 40 + "1": "is nested more than 30 deep",
    "not " * 40 + "deep": "is nested more than 30 deep",
    "layers < " + "1 + " * 115 + "1": "has more than 200 parts",
    "layers < " + "1" * 600: "has more than 500 characters",
    "layers < 0": "no assignment keeps the constraints",
    "lr + layers < 0.5": "no assignment keeps the constraints",
    "layers * width == 7": "no assignment keeps the constraints",
    "lr * 1000000 // 1 % 2 == 2": "no assignment was found that keeps the constraints",
    "layers ** 9 ** 9 ** 9 < lr": "no assignment keeps the constraints",
    "kind != 'sdg' or layers < 3": "column 9: kind is never 'sdg'",
    "layers < 3 and not 'x' == kind": "column 20: kind is never 'x'",
    "kind": "column 1: is a text, not a condition",
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:20])
def test_a_mistake_is_named_with_its_line_and_column(text: str) -> None:
    with pytest.raises(StudyError) as caught:
        loads(f'{HEAD}- layers <= limit\n- "{text}"\n', "study.yaml")
    (problem,) = caught.value.problems
    assert MISTAKES[text] in str(problem)
    assert "if layers is a value" not in problem.hint
    assert problem.file == "study.yaml"
    assert problem.line == (12 if problem.path == "constraints.1" else 10)


def test_initial_trials_keep_the_constraints() -> None:
    text = f"{HEAD}- layers * width <= 700\ninitial_trials:\n"
    for trial, message in {
        "{layers: 12, width: 128}": "breaks the constraint layers * width <= 700",
        "{layers: 12}": "cannot be completed such that the constraints hold",
    }.items():
        with pytest.raises(StudyError) as caught:
            loads(f"{text}- {{layers: 1}}\n- {trial}\n")
        (problem,) = caught.value.problems
        assert (problem.path, problem.line) == ("initial_trials.1", 14)
        assert problem.message == message
    assert loads(f"{text}- {{layers: 10}}\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("7 // 2 * 2 + 7 % 2", 7),
        ("1 - 2 - 3", -4),
        (".5 + 1e1 + 2.", 12.5),
        ("0.1 + 0.2 == 0.3", True),
        ("0.1 + 0.2 > 0.3", False),
        ("1 < 2 < 3 != 4", True),
        ("1 < 3 < 2", False),
        ("not 1 == 2 and 3 == 3", True),
        ("1 == 2 or 'a' == \"a\"", True),
        ("true == (1 < 2)", True),
        ("min(3, 1, 2) + max(1, 2) - abs(-4)", -1),
        ("x.y * `a b`", 6),
        ("x.y <= 10 ** 400", True),
        ("x.y <= 1" + "0" * 400, True),
        ("x.y == 1" + "0" * 400, False),
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(text: str, value: Any) -> None:
    assert parse(text).evaluate({"x.y": 2, "a b": 3}) == value


@pytest.mark.parametrize(
    "text", ["1 / x < 2", "1 // x < 2", "(0 - 8) ** 0.5 < x", "0 ** (0 - 1) > x"]
)
def test_what_has_no_value_breaks_a_constraint(text: str) -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    data = {"parameters": {"x": unit}, "constraints": [text, "x < 2"]}
    study = Study.model_validate(data, context={"parts_only": True})
    assert not Space.from_study(study).allows({"x": 0.0})
    assert parameter_constraints(study)[1].holds({"x": 0.0})


def test_hostile_texts_end_soon() -> None:
    for text in ["9" * 400 + " * x > 1", " * ".join(["x"] * 90) + " > 1", "x ** 9e99 ** 9e99 > 1"]:
        expression = parse(text)
        try:
            expression.evaluate({"x": 10**15})
        except ArithmeticError:
            continue
    for text in ["`" * 500, "'" * 499, "." * 500, "1e" * 250, "((((((((((", "\\x00"]:
        with pytest.raises(ExpressionError):
            parse(text)


def test_a_warning_says_how_few_assignments_keep_the_constraints() -> None:
    notes = loads(f"{HEAD}- lr < 0.01\n").notes
    (text,) = [note.text for note in notes if note.path == "constraints"]
    assert "% of the assignments keep the constraints" in text
    assert not [n for n in loads(f"{HEAD}- lr < 0.5\n").notes if n.path == "constraints"]


@pytest.mark.parametrize(
    ("constraint", "metrics", "keeps"),
    [
        ("errors == 0 or total / errors <= 50", {"errors": 0, "total": 5}, True),
        ("errors == 0 or total / errors <= 50", {"errors": 1, "total": 90}, False),
        ("total / errors <= 50 or errors == 0", {"errors": 0, "total": 5}, False),
        ("not total / errors <= 50", {"errors": 1, "total": 90}, True),
        ("total - errors <= 50", {"errors": math.inf, "total": math.inf}, False),
    ],
)
def test_a_margin_is_positive_exactly_where_a_constraint_on_metrics_is_broken(
    constraint: str, metrics: dict[str, float], keeps: bool
) -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    data = {"parameters": {"x": unit}, "constraints": [constraint]}
    study = Study.model_validate(data, context={"parts_only": True})
    (margin,) = outcome_margins(outcome_constraints(study), {"x": 0.5}, metrics)
    assert (margin <= 0) == keeps


def int_to(high: int, **others: Any) -> dict[str, Any]:
    return {"type": "int", "min": 1, "max": high, **others}


def stepped(step: float | None) -> dict[str, Any]:
    return {"type": "float", "min": 0, "max": 1, "step": step}


FEASIBLE: dict[str, dict[str, Any]] = {
    "a + b + c == 1": {name: stepped(0.001) for name in "abc"},
    "a + b + c == 1.0": {name: stepped(None) for name in "abc"},
    "a * a == 0.123456789": {"a": stepped(None)},
    "a + b == 2500": {name: int_to(2000) for name in "ab"},
    "a + b == 1300": {name: int_to(1200, scale="log") for name in "ab"},
    "a == 2 * b": {name: int_to(20_000) for name in "ab"},
    "a * b == c": {name: int_to(5000) for name in "abc"},
    "a % 97 == 96 and b % 97 == 95": {name: int_to(2000) for name in "ab"},
    "a + b + c + d == 40 and a * b * c * d == 10000": {n: int_to(2000) for n in "abcd"},
    "min(a, b) == 1999 and abs(a - b) == 1": {name: int_to(3000) for name in "ab"},
    "a / b == 7 and not a < 6900": {name: int_to(7000) for name in "ab"},
    "a * 2 == 5 and b * 2 == 3": {
        "a": {"type": "categorical", "values": [1, 2.5, 4]},
        "b": {"type": "float", "min": 1, "max": 4},
    },
    **{
        text: {name: stepped(None), "k": {"type": "categorical", "values": ["w", "x"]}}
        for name, text in [
            ("a", "(k != 'x' or a > 0.99999) and k == 'x'"),
            ("z", "(k == 'w' or z < 0.00001) and (k == 'x' or z > 0.99999)"),
        ]
    },
    "k == 'x' and a == p + 1": {
        "k": {"type": "categorical", "values": ["w", "x"]},
        "a": int_to(9000),
        "p": int_to(9000, when={"k": "x"}),
    },
}


@pytest.mark.parametrize("text", FEASIBLE)
def test_rare_assignments_in_wide_spaces_are_drawn(text: str) -> None:
    data = {"parameters": FEASIBLE[text], "constraints": text.split(" and ")}
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    assert is_infeasible(space) is None
    for seed in range(3):
        assignment = draw_allowed(space, draw_uniform, Random(seed))
        assert assignment is not None
        assert parse(text).evaluate(assignment)


@pytest.mark.parametrize(
    "text",
    ["a * a + b * b == c * c", "a ** 2 + b ** 2 == c ** 2", "a ** 3 == b * b"],
)
def test_powers_are_solved_in_few_steps(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {name: int_to(500) for name in "abc"}
    data = {"parameters": parameters, "constraints": [text]}
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    monkeypatch.setattr(feasibility, "_MAX_STEPS", 0)
    found = [draw_allowed(space, draw_uniform, Random(seed)) for seed in range(20)]
    assert all(each and parse(text).evaluate(each) for each in found)
    assert len({str(each) for each in found}) > 15


@pytest.mark.parametrize("number", [5040, 510_510, 1_000_000, 97 * 89 * 6])
def test_factors_of_a_number_are_found_in_few_steps(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {
        "parameters": {name: int_to(1000) for name in "abcd"},
        "constraints": [f"a * b * c * d == {number}"],
    }
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    monkeypatch.setattr(feasibility, "_MAX_STEPS", 0)
    found = [draw_allowed(space, draw_uniform, Random(seed)) for seed in range(20)]
    assert all(each and math.prod(map(int, each.values())) == number for each in found)
    assert len({str(each) for each in found}) > 15


@pytest.mark.parametrize(
    ("text", "high", "size"),
    [
        ("a == b", 20_000, 20_000),
        ("a * b == 4096", 4096, 13),
        ("a * b == 4003 * 4007", 5000, 2),
    ],
)
def test_a_grid_of_rare_assignments_is_counted(text: str, high: int, size: int) -> None:
    data = {"parameters": {name: int_to(high) for name in "ab"}, "constraints": [text]}
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    assert space.size == size


@pytest.mark.parametrize(
    "text",
    ["a + b == 4001", "6 * a + 15 * b == 100", "a * b == 4003", "a == b + 0.5", "a % 2 == 2"],
)
def test_what_no_assignment_of_a_wide_space_keeps_is_shown(text: str) -> None:
    data = {"parameters": {name: int_to(2000) for name in "ab"}, "constraints": [text]}
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    assert is_infeasible(space) == "shown"
    assert draw_allowed(space, draw_uniform, Random(1)) is None


NUMBERS = st.recursive(
    st.sampled_from(["a", "b", "c", "d", "0", "1", "2", "0.5", "10 ** 400"]),
    lambda part: st.one_of(
        st.builds(
            "({} {} {})".format, part, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), part
        ),
        st.builds("abs({})".format, part),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), part, part),
    ),
    max_leaves=4,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.builds("({} {} {})".format, NUMBERS, st.sampled_from(COMPARISONS), NUMBERS),
        st.sampled_from(["flag", "kind == 'x'", "kind != 'y'", "flag == (kind == 'x')"]),
    ),
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from(["and", "or"]), part),
        st.builds("(not {})".format, part),
    ),
    max_leaves=4,
)
SMALL: dict[str, Any] = {
    "a": {"type": "int", "min": -2, "max": 3},
    "b": {"type": "float", "min": -0.5, "max": 0.5, "step": 0.5},
    "c": {"type": "discrete", "values": [-1, 0, 3]},
    "d": {"type": "float", "min": 2, "max": 2},
    "flag": {"type": "bool"},
    "kind": {"type": "categorical", "values": ["x", "y"]},
}


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(CONDITIONS, min_size=1, max_size=2))
def test_an_assignment_is_found_exactly_if_there_is_one(texts: list[str]) -> None:
    data = {"parameters": SMALL, "constraints": texts}
    space = Space.from_study(Study.model_validate(data, context={"parts_only": True}))
    every = [each for each in Space(space.nodes).grid() if space.allows(each)]
    assert is_infeasible(space) == (None if every else "shown")
    assert list(space.grid()) == every
    assert space.size == len(every)
    for given_values in every[::23]:
        part = {name: given_values[name] for name in ("a", "kind")}
        assert can_complete(space, part)
    for constraint in space.constraints:
        for values in Space(space.nodes).grid():
            assert (constraint.margin(values) <= 0) == constraint.holds(values)
