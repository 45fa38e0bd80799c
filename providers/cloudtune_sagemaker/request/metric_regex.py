"""The one regex by which SageMaker reads a metric from the log.

SageMaker takes the match of the first group. A study may have several regexes per metric, and the
group that counts may have the name ``value``. SageMaker does not read the group named ``step``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_LENGTH = 500
"""Characters of a regex."""
MAX_METRICS = 40
"""Metric definitions of a job (botocore 1.44.8 model, MetricDefinitionList)."""


SAMPLE = "-1.296e-06"
"""A number as Python prints it."""


class CannotJoinError(ValueError):
    """Regexes or groups that no regex with one group can replace."""


def launcher_regex(metric: str) -> str:
    """Return the regex for the lines that cloudtune's launcher prints."""
    return rf"\[cloudtune\] metric {re.escape(metric)} = ([-+0-9.e]+)"


def join_regexes(regexes: Sequence[str]) -> str:
    r"""Return one regex whose first group matches what the study's regexes match.

    Raises:
        CannotJoinError: If there is no such regex.

    Example:
        >>> join_regexes([r"loss: (\S+)", r"LOSS (\S+)"]) == r"(?:loss: |LOSS )(\S+)"
        True
    """
    splits = [_split_at_group(regex) for regex in dict.fromkeys(regexes)]
    if len(splits) == 1:
        return splits[0].whole
    if len({split.group for split in splits}) > 1 or not all(split.outermost for split in splits):
        raise CannotJoinError(
            "the regexes do not read the number by the same group, and SageMaker accepts one regex "
            "per metric"
        )
    before = _alternation([split.before for split in splits])
    after = _alternation([split.after for split in splits])
    pairs = {(split.before, split.after) for split in splits}
    if len(pairs) < len({b for b, _ in pairs}) * len({a for _, a in pairs}):
        raise CannotJoinError(
            "the regexes differ before and after the number, and SageMaker accepts one regex per "
            "metric"
        )
    return f"{before}{splits[0].group}{after}"


def read_part(regex: str) -> str:
    r"""Return the most of `SAMPLE` that the group of a regex reads; empty if it reads it whole.

    Example:
        >>> read_part(r"loss: ([0-9.]+)"), read_part(r"loss: (\S+)")
        ('1.296', '')
    """
    try:
        match = re.search(_split_at_group(regex).group, SAMPLE)
    except (CannotJoinError, re.error):
        return ""
    return match[1] if match and match[1] != SAMPLE else ""


@dataclass(frozen=True)
class _Split:
    """A regex with one group, split at it."""

    before: str
    group: str
    after: str
    outermost: bool
    """Whether the group is in no other group and in no alternative."""

    @property
    def whole(self) -> str:
        return self.before + self.group + self.after


def _alternation(parts: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else f"(?:{'|'.join(distinct)})"


@dataclass
class _Group:
    start: int
    opening: int
    """Length of its opening: ``(``, ``(?P<name>``."""
    captures: bool
    name: str | None
    depth: int
    end: int = -1


_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]?|\(\?P?<(?P<name>\w+)>|\(\??|[)|]", re.DOTALL)
"""An escape, a class, the opening or the end of a group, or a bar between alternatives."""
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(|\\g<")


def _split_at_group(regex: str) -> _Split:
    groups, has_alternatives = _parse_groups(regex)
    capturing = [group for group in groups if group.captures]
    if not capturing:
        raise CannotJoinError("the regex has no group, so it reads no number")
    values = [group for group in capturing if group.name != "step"]
    if not values:
        raise CannotJoinError("the regex has no group around the number")
    target = next((group for group in values if group.name == "value"), values[0])
    if len(capturing) > 1 and _BACK_REFERENCE.search(regex):
        raise CannotJoinError(
            "the regex refers back to its groups, and SageMaker reads the first group"
        )
    pieces: list[str] = []
    position = start = 0
    for group in sorted(groups, key=lambda group: group.start):
        if not group.captures:
            continue
        pieces.append(regex[position : group.start])
        if group is target:
            start = sum(map(len, pieces))
        pieces.append("(" if group is target else "(?:")
        position = group.start + group.opening
    pieces.append(regex[position:])
    whole = "".join(pieces)
    growth = sum(len("(?:") - group.opening for group in capturing if group.start > target.end)
    end = len(whole) - (len(regex) - target.end + growth)
    return _Split(
        whole[:start],
        whole[start : end + 1],
        whole[end + 1 :],
        outermost=target.depth == 0 and not has_alternatives and not _FLAGS.match(whole),
    )


def _parse_groups(regex: str) -> tuple[list[_Group], bool]:
    """Return the groups of a regex, and whether it has alternatives outside of them."""
    groups: list[_Group] = []
    open_groups: list[_Group] = []
    has_alternatives = False
    for token in _TOKEN.finditer(regex):
        text, name = token[0], token["name"]
        if text.startswith("("):
            captures = text == "(" or name is not None
            group = _Group(token.start(), len(text), captures, name, depth=len(open_groups))
            groups.append(group)
            open_groups.append(group)
        elif text == ")" and open_groups:
            open_groups.pop().end = token.start()
        elif text == "|" and not open_groups:
            has_alternatives = True
    return groups, has_alternatives
