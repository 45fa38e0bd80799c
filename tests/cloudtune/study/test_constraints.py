"""Mistakes in constraints, each where it is, and what the language computes."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.errors import StudyError
from cloudtune.study.constraints import parameter_constraints
from cloudtune.study.expression_parser import parse
from cloudtune.study.expressions import ExpressionError
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
    "lr * lr == 0.123456789": "no assignment was found that keeps the constraints",
    "layers ** 9 ** 9 ** 9 < lr": "no assignment was found that keeps the constraints",
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:20])
def test_a_mistake_is_named_with_its_line_and_column(text: str) -> None:
    with pytest.raises(StudyError) as caught:
        loads(f'{HEAD}- layers <= limit\n- "{text}"\n', "study.yaml")
    (problem,) = caught.value.problems
    assert MISTAKES[text] in problem.message
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
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(text: str, value: Any) -> None:
    assert parse(text).evaluate({"x.y": 2, "a b": 3}) == value


@pytest.mark.parametrize("text", ["1 / x < 2", "1 // x < 2", "(0 - 8) ** 0.5 < x", "9e99 ** 9 > x"])
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
