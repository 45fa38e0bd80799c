"""The words before the numbers that a regex reads, by which they may be of different metrics."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD = r"[^\W\d_]+(?:['./_-]?[^\W\d_]+)*"
"""A word without digits."""
_PUNCTUATION = "[](){}<>:,;|=-+*#!?.'\"\u2502"
_NO_HEADING = (
    r"(?i)trace|debug|info|warn|warning|error|critical|notice"
    r"|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}|am|pm|utc|gmt|[a-z]+/[a-z]+"
    r"|[mnu\u00b5]?s|secs?|seconds?|mins?|minutes?|hours?|days?|[kmgt]i?b|ok|done|nan|inf|none|.?"
)
"""Words that are no part of a name: levels, parts of a time, units, and what replaces a number."""
_COUNTER = r"(?i)(?:epochs?|steps?|iter(?:ation)?s?|batch(?:es)?|fold|round|trial|ep|it)(?![^\W\d])"
"""Words whose numbers differ from line to line."""
_SPLIT = (
    r"(?i)(?<![a-z])(train(?:ing)?|val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?|dev)(?![a-z])"
)
"""The part of the data that a number is about, as in ``Test: [3/10] loss 0.5``."""
_MAX_LENGTH, _MAX_SHOWN_WORDS = 200, 4
"""Characters before a number that are searched for words, and words that a message quotes."""
_MIN_DECIMALS = 2
"""Decimals from which a number may be another one, rounded."""


class Headings:
    """Finds two headings whose numbers differ, as in ``train loss=1`` and ``test loss=2``.

    Digits, times, levels and units are no part of a heading. A heading that only repeats the last,
    the smallest or the largest number under others, as in ``best loss=1``, does not count.
    """

    def __init__(self) -> None:
        """Start without any number."""
        self._names: dict[tuple[str, ...], str] = {}
        self._numbers: list[tuple[float, str]] = []
        """The last number, the smallest and the largest one."""

    @property
    def different(self) -> list[str]:
        """The names of two metrics with different headings; empty if there is only one."""
        return [*self._names.values()] if len(self._names) > 1 else []

    def add(self, before: str, name: str, text: str, number: float) -> None:
        """Add a number.

        Args:
            before: The line before the match of the regex.
            name: The name at which the match begins, which may begin before it.
            text: The number as it is printed.
            number: Its value.
        """
        repeats = any(_agree(text, number, *other) for other in self._numbers)
        if len(self._names) < 2 and not repeats:
            words = heading(before, name)
            key = tuple(word.lower() for word in words)
            self._names.setdefault(key, " ".join([*words[-_MAX_SHOWN_WORDS:], name]).strip())
        both = [*self._numbers[1:], (number, text)]
        self._numbers = [(number, text), min(both), max(both)]


def heading(before: str, name: str) -> Sequence[str]:
    """Return the words between another number, or a sentence, and a name, and the part of the data.

    Args:
        before: The line before the match of the regex.
        name: The name at which the match begins.
    """
    import re

    tokens = before[-_MAX_LENGTH:].split()
    if tokens and before[-1:].strip():
        del tokens[-1]  # it belongs to the name
    words: list[str] = []
    after_number = False
    for token in reversed(tokens):
        word = token.strip(_PUNCTUATION)
        is_counter = re.match(_COUNTER, word)
        if any(map(str.isdigit, word)):
            after_number = not is_counter
        elif after_number and word and not is_counter:
            break
        elif after_number and word:
            after_number = False
        elif token[-1] in ",;.!":
            break
        elif re.fullmatch(_WORD, word) and not re.fullmatch(_NO_HEADING, word):
            words.insert(0, word)
    splits = re.findall(_SPLIT, before)
    is_split = re.search(_SPLIT, " ".join([*words, name]))
    return words if is_split or not splits else [splits[-1], *words]


def _agree(text: str, number: float, other: float, other_text: str) -> bool:
    """Return whether two numbers are the same, or one is the other one rounded."""
    decimals = min(_decimals(text), _decimals(other_text))
    if number == other or decimals < _MIN_DECIMALS:
        return number == other
    return abs(number - other) <= 0.51 / 10.0**decimals


def _decimals(text: str) -> int:
    import re

    match = re.match(r"[-+]?\d*\.(\d+)", text.strip())
    return len(match[1]) if match and "e" not in text.lower() else 0
