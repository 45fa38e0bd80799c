"""One expression with one group finds what several with several groups find."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune_sagemaker.request.metric_regex import CannotJoinError, join_regexes, launcher_regex


def as_study(expressions: Sequence[str], line: str) -> set[str | None]:
    """Return what a study's expressions find in a line: the group ``value``, else group 1."""
    return {
        match["value" if "value" in match.re.groupindex else 1]
        for expression in expressions
        for match in re.finditer(expression, line)
    }


def as_sagemaker(expression: str, line: str) -> set[str]:
    """Return what SageMaker finds: the first group."""
    return {match[1] for match in re.finditer(expression, line)}


ONE = [
    r"loss: (\S+)",
    r"(?P<value>\d+) of \d+",
    r"(a|b) = (?P<value>\d)(x)?",
    r"((?P<value>\d)\d)",
    r"[(]([)(]+)[)]",
    r"\((\d)\)",
    r"(?:no|yes) (\d)",
    r"(?i)LOSS (\d)",
    r"[]()]=(\d)",
    r"[^](]=(\d)",
    r"x(?=(\d))",
    r"(?<=a)(\d)",
]


@pytest.mark.parametrize("expression", ONE)
@given(line=st.text(st.sampled_from("lossLOSS: 0123ab=()[]xnoyesf."), max_size=30))
@settings(max_examples=60)
def test_one_expression_finds_the_same(expression: str, line: str) -> None:
    one = join_regexes([expression])
    assert re.compile(one).groups == 1
    for text in (line, f"loss: {line} loss 1 a = 2x 12 of 34 (3) no 4 ]=5 a6 ((7)"):
        assert as_sagemaker(one, text) == as_study([expression], text)


SEVERAL = [
    ["loss: ([0-9.]+)", "LOSS ([0-9.]+)"],
    ["a=(?P<value>[0-9.]+)", "b=([0-9.]+)", "a=([0-9.]+)"],
    [r"a (\d) end", r"a (\d) stop"],
    [r"a(\d)c", r"a(\d)d", r"b(\d)c", r"b(\d)d"],
]


@pytest.mark.parametrize("expressions", SEVERAL)
@given(line=st.text(st.sampled_from("lossLOSab=: 0123.cd"), max_size=30))
@settings(max_examples=60)
def test_several_expressions_find_the_same(expressions: list[str], line: str) -> None:
    one = join_regexes(expressions)
    assert re.compile(one).groups == 1
    for text in (line, f"{line} loss: 0.1 LOSS 2 a=3 b=4 a 5 end a 6 stop a7c a8d b9c b0d"):
        assert as_sagemaker(one, text) == as_study(expressions, text)


@pytest.mark.parametrize(
    "expressions",
    [
        [r"a (\S+)", r"b (\d+)"],
        [r"a (\d)c", r"b (\d)d"],
        [r"(\d)|a", r"b(\d)"],
        [r"x(y(\d))", r"(?P<value>\d)"],
        [r"(a)\1(?P<value>b)"],
        [r"(?P<x>a)(?P=x)(?P<value>b)"],
        [r"(?i)a(\d)", r"b(\d)"],
        ["no group"],
    ],
)
def test_what_cannot_be_joined_is_told(expressions: list[str]) -> None:
    with pytest.raises(CannotJoinError):
        join_regexes(expressions)


@given(
    st.sampled_from(["accuracy", "validation:auc", "a (b) [c]", "x.y*z", "µ", "a = (1)"]),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_the_launcher_prints_is_found(metric: str, value: float) -> None:
    line = f"[cloudtune] metric {metric} = {value!r}"
    (found,) = as_sagemaker(launcher_regex(metric), line)
    assert float(found) == value
    assert not as_sagemaker(launcher_regex(metric + "2"), line)
    assert not as_sagemaker(launcher_regex(metric), f"[cloudtune] metric {metric}2 = {value!r}")
