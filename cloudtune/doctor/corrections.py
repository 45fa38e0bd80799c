"""Corrected regular expressions, each checked against the output before it is suggested."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cloudtune.doctor.captures import (
    GAP,
    NUMBER_GROUP,
    Capture,
    ambiguous_line,
    ambiguous_names,
    escaped,
    find_captures,
    misread_numbers,
    suggest_expression,
)

_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?P<(?P<name>\w+)>|(?!\?))|\(\?|\)")
_PREFERRED = re.compile(r"val|test|eval|dev", re.IGNORECASE)


def whole_number(name: str, expression: str, lines: Sequence[str]) -> str | None:
    """Return an expression that captures the numbers of a metric as they are printed, if any."""
    inner = r"\S+"
    candidates = [
        _with_group(expression, inner),
        _with_group(expression, NUMBER_GROUP[1:-1]),
        suggest_expression(name, lines),
    ]
    return next((each for each in candidates if each and _is_right(each, lines)), None)


def single_metric(name: str, expression: str, lines: Sequence[str]) -> str | None:
    """Return an expression that finds only one of the metrics that another one finds, if any."""
    candidates = [*_bounded(expression, find_captures(expression, lines))]
    suggested = suggest_expression(name, lines)
    return next((e for e in [*candidates, suggested] if e and _is_right(e, lines)), None)


def _bounded(expression: str, captures: Sequence[Capture]) -> Iterator[str]:
    yield rf"\b{expression}"
    names = dict.fromkeys(name for each in captures for name in (each.word, each.name))
    for name in sorted(names, key=lambda n: ("best" in n.lower(), not _PREFERRED.search(n))):
        start = next(each for each in captures if name in {each.word, each.name})
        if GAP in name:
            yield from _in_lines_of(name, expression, captures)
        elif prefix := name[: len(name) - len(start.head)]:
            yield rf"\b{escaped(prefix)}{expression}"
    yield rf"(?<![\w/.-]){expression}"


def _in_lines_of(name: str, expression: str, captures: Sequence[Capture]) -> Iterator[str]:
    """Yield an expression for the lines of one part of the data, if it finds the same values."""
    edge = r"\b" if expression[:1].isalnum() else ""
    candidate = rf"\b{escaped(name.partition(GAP)[0])}.*?{edge}{expression}"
    once = list(dict.fromkeys(captures))
    texts = [each.text for each in once if each.name == name]
    if [c.text for c in find_captures(candidate, [*dict.fromkeys(c.line for c in once)])] == texts:
        yield candidate


def _is_right(expression: str, lines: Sequence[str]) -> bool:
    captures = find_captures(expression, lines)
    return (
        any(each.value is not None for each in captures)
        and all(each.value is not None for each in captures)
        and not ambiguous_names(captures, several_words=True)
        and not ambiguous_line(captures)
        and not misread_numbers(expression, lines)
    )


def _with_group(expression: str, inner: str) -> str | None:
    """Return an expression with other content in the group around the value."""
    depth, begin = 0, None
    for token in _GROUP.finditer(expression):
        text = token[0]
        if text.startswith("("):
            is_value = token["name"] == "value" or (
                token["name"] is None and text == "(" and "(?P<value>" not in expression
            )
            depth += 1
            if begin is None and is_value:
                begin = (token.end(), depth)
        elif text == ")":
            if begin is not None and begin[1] == depth:
                return expression[: begin[0]] + inner + expression[token.start() :]
            depth -= 1
    return None
