"""How Katib's collector reads metrics from the standard output of a trial."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cloudtune.dialect.native import map_at
from cloudtune.formats.katib.names import default_expression
from cloudtune.study.yaml_reader import is_list


def collector_kind(collector: Any) -> str:
    """Return the kind of a ``metricsCollectorSpec``."""
    return str(map_at(collector, "collector").get("kind", "StdOut"))


def read_collector(collector: Any, metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return the expressions of each metric, of a collector of the standard output."""
    if collector_kind(collector) != "StdOut":
        return {}
    formats: Any = map_at(collector, "source", "filter").get("metricsFormat")
    listed = [each for each in formats if isinstance(each, str)] if is_list(formats) else []
    if not listed:
        return {metric: [default_expression(metric)] for metric in metrics}
    named = {metric: [_name_metric(each, metric) for each in listed] for metric in metrics}
    found = {metric: [each for each in several if each] for metric, several in named.items()}
    return {metric: several for metric, several in found.items() if several}


_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?P<\w+>|\(|\)")
"""An escape, a class, the opening of a group, or the end of one."""


def _top_groups(expression: str) -> Iterator[tuple[int, int]]:
    """Yield where each capturing group that is in no other group starts and ends."""
    opened: list[tuple[int, bool]] = []
    for token in _GROUP.finditer(expression):
        text = token[0]
        if text.startswith("("):
            opened.append(
                (
                    token.start(),
                    (text == "(" and expression[token.end()] != "?") or text.startswith("(?P<"),
                )
            )
        elif text == ")" and opened:
            start, captures = opened.pop()
            if captures and not any(inside for _, inside in opened):
                yield start, token.end()


def _name_metric(expression: str, metric: str) -> str | None:
    """Return an expression with the name of one metric instead of its first group.

    Katib takes the first group as the name of the metric and the second one as its value. None if
    the expression has no two groups, or the first does not match the name.
    """
    try:
        groups = list(_top_groups(expression))
        first, second = groups[0], groups[1]
        name, value = expression[slice(*first)], expression[slice(*second)]
        if re.fullmatch(name, metric) is None:
            return None
        before = expression[: first[0]] + re.escape(metric) + expression[first[1] : second[0]]
        named = f"{before}(?P<value>{value[1:]}{expression[second[1] :]}"
        re.compile(named)
    except (IndexError, re.error, RecursionError):
        return None
    return named
