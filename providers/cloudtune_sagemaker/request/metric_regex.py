"""The one expression by which SageMaker finds a metric in what is printed.

It takes what the first group of one expression matches. A study has several expressions a metric,
and the group that counts may have the name ``value``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 500
"""Characters of an expression."""


class CannotJoinError(ValueError):
    """Several expressions, or several groups, that no expression with one group stands for."""


def of_launcher(metric: str) -> str:
    """Return the expression that finds a metric in what our launcher prints."""
    return rf"\[cloudtune\] metric {re.escape(metric)} = ([-+0-9.e]+)"


def joined(expressions: Sequence[str]) -> str:
    """Return one expression whose first group is what the study's expressions find.

    Raises:
        CannotJoinError: If there is none.
    """
    found = [_one_group(expression) for expression in dict.fromkeys(expressions)]
    if len(found) == 1:
        return found[0].whole
    groups = {parts.group for parts in found}
    if len(groups) > 1 or not all(parts.outermost for parts in found):
        raise CannotJoinError(
            "they do not read the number by one and the same group, and SageMaker takes one "
            "expression a metric"
        )
    before = _either([parts.before for parts in found])
    after = _either([parts.after for parts in found])
    pairs = {(parts.before, parts.after) for parts in found}
    if len(pairs) < len({b for b, _ in pairs}) * len({a for _, a in pairs}):
        raise CannotJoinError(
            "they differ before and behind the number, and SageMaker takes one expression a metric"
        )
    return f"{before}{found[0].group}{after}"


@dataclass(frozen=True)
class _Parts:
    """An expression with one group, cut at it."""

    before: str
    group: str
    after: str
    outermost: bool
    """Whether the group stands in no other and no alternative."""

    @property
    def whole(self) -> str:
        return self.before + self.group + self.after


def _either(parts: Sequence[str]) -> str:
    different = list(dict.fromkeys(parts))
    return different[0] if len(different) == 1 else f"(?:{'|'.join(different)})"


@dataclass
class _Group:
    start: int
    opening: int
    """How many characters open it: ``(``, ``(?P<name>``."""
    captures: bool
    name: str | None
    depth: int
    end: int = -1


_OPENING = re.compile(r"\(\?P?<(\w+)>|\(\?")
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")
_BACK = re.compile(r"\\[1-9]|\(\?P=|\(\?\(|\\g<")


def _one_group(expression: str) -> _Parts:
    groups, alternatives = _read(expression)
    capturing = [group for group in groups if group.captures]
    if not capturing:
        raise CannotJoinError("it has no group, so no number is read")
    wanted = next((group for group in capturing if group.name == "value"), capturing[0])
    if len(capturing) > 1 and _BACK.search(expression):
        raise CannotJoinError("it refers to its own groups, and SageMaker takes the first of them")
    pieces: list[str] = []
    place = start = 0
    for group in sorted(groups, key=lambda group: group.start):
        if not group.captures:
            continue
        pieces.append(expression[place : group.start])
        if group is wanted:
            start = sum(map(len, pieces))
        pieces.append("(" if group is wanted else "(?:")
        place = group.start + group.opening
    pieces.append(expression[place:])
    whole = "".join(pieces)
    behind = len(expression) - wanted.end + _grown(capturing, wanted)
    end = len(whole) - behind
    return _Parts(
        whole[:start],
        whole[start : end + 1],
        whole[end + 1 :],
        outermost=wanted.depth == 0 and not alternatives and not _FLAGS.match(whole),
    )


def _grown(capturing: Sequence[_Group], wanted: _Group) -> int:
    """Return by how much what follows the wanted group has grown; below 0, it has shrunk."""
    return sum(len("(?:") - group.opening for group in capturing if group.start > wanted.end)


def _read(expression: str) -> tuple[list[_Group], bool]:
    """Return the groups of an expression, and whether it has alternatives outside of them."""
    groups: list[_Group] = []
    opened: list[_Group] = []
    alternatives = False
    place = 0
    while place < len(expression):
        match expression[place]:
            case "\\":
                place += 1
            case "[":
                place = _end_of_class(expression, place)
            case "(":
                found = _OPENING.match(expression, place)
                name = found[1] if found else None
                group = _Group(
                    place,
                    opening=len(found[0]) if found else 1,
                    captures=found is None or name is not None,
                    name=name,
                    depth=len(opened),
                )
                groups.append(group)
                opened.append(group)
            case ")" if opened:
                opened.pop().end = place
            case "|" if not opened:
                alternatives = True
            case _:
                pass
        place += 1
    return groups, alternatives


def _end_of_class(expression: str, place: int) -> int:
    place += 1
    if expression[place : place + 1] == "^":
        place += 1
    if expression[place : place + 1] == "]":
        place += 1
    while place < len(expression) and expression[place] != "]":
        place += 2 if expression[place] == "\\" else 1
    return place
