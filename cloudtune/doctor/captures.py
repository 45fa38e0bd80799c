"""What the regular expressions of a study find in the output of a script, and what they miss."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from cloudtune.launcher.metrics import MetricReader, MisreadNumberError, matched_step, value_group
from cloudtune.launcher.numbers import WHOLE_NUMBER, parse_number
from cloudtune.launcher.output import displayed_text

_NUMBER = re.compile(rf"{WHOLE_NUMBER}|(?<![\w.])[-+]?(?i:nan|inf(?:inity)?)\b")
_WORD = r"[\w./\-]*"
_PREFIX = r"(?:val|valid|validation|test|eval|dev)[_/.-]"
"""The usual beginning of the name of a metric that is measured on other data."""
_WRAPPER = r"(?:tensor\(|np\.float\d+\(|\[)?"
"""What libraries print before a number."""
_LEVELS = {"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL"}
_SPLIT = re.compile(
    r"(?<![a-z])(train(?:ing)?|val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?|dev)(?![a-z])",
    re.IGNORECASE,
)
"""The part of the data that a number is about, as in ``Test: [3/10] loss 0.5``."""
GAP = " ... "
"""In a name, replaces the text between the part of the data and the word."""
_OWN_LINE = "[cloudtune]"
"""How the lines of cloudtune's launcher begin."""
_TIMEOUT = 2.0
"""Seconds that one expression may spend on one line, as in a real trial."""
_MAX_LINES = 20_000


@dataclass(frozen=True)
class Capture:
    """One match of an expression."""

    line: str
    """The line, without colors."""
    start: int
    """Where the match begins in the line."""
    text: str
    """The text that is read as the value."""
    step: int | None

    @property
    def value(self) -> float | None:
        """The value that cloudtune reads; None if the text is not a number."""
        return parse_number(self.text)

    @property
    def head(self) -> str:
        """The word, or the part of a word, with which the match begins."""
        match = re.match(_WORD, self.line[self.start :])
        return match[0] if match else ""

    @property
    def word(self) -> str:
        """The whole word with which the match begins, such as ``val_loss`` for ``loss``."""
        if not self.head.strip("-"):
            return self.head
        before = re.search(f"{_WORD}$", self.line[: self.start])
        return (before[0] if before else "") + self.head

    @property
    def name(self) -> str:
        """The word, with a preceding word of letters and the part of the data that the line names.

        Such as ``Val loss``, or ``Test ... Accuracy`` for ``Test set: Loss 0.5, Accuracy: 90``.
        """
        begin = self.start - (len(self.word) - len(self.head))
        before = re.search(r"[A-Za-z]+ $", self.line[:begin]) if self.word.strip("-") else None
        is_level = before is not None and before[0].strip().upper() in _LEVELS
        name = self.word if before is None or is_level else before[0] + self.word
        splits = _SPLIT.findall(self.line[:begin]) if not _SPLIT.search(name) else []
        return f"{splits[-1]}{GAP}{name}" if splits else name


def output_lines(output: str) -> list[str]:
    """Return the lines of an output as a service reads them, without cloudtune's own."""
    text = displayed_text(output).replace("\r", "\n")
    lines = (line for line in text.split("\n") if line.strip())
    return [line for line in lines if not line.startswith(_OWN_LINE)][:_MAX_LINES]


def find_captures(expression: str, lines: Sequence[str]) -> list[Capture]:
    """Return the matches of an expression in lines, in order; none if it is invalid or too slow."""
    return list(_search(expression, lines))


def _search(expression: str, lines: Sequence[str]) -> Iterator[Capture]:
    import regex

    try:
        pattern = regex.compile(expression)
        group = value_group(pattern)  # type: ignore[arg-type]
        for line in lines:
            for match in pattern.finditer(line, timeout=_TIMEOUT):
                if match[group] is not None:
                    step = matched_step(match)  # type: ignore[arg-type]
                    yield Capture(line, match.start(), match[group], step)
    except (regex.error, TimeoutError):
        return


def suggest_expression(metric: str, lines: Sequence[str]) -> str | None:
    """Return an expression that finds a metric by its name in lines; None if none has it."""
    name = re.escape(metric).replace("_", "[_ -]") if "_" in metric else re.escape(metric)
    between = rf"(?P<between>['\"]?\s?[:=]?\s?[:=]?\s?{_WRAPPER})(?P<value>\S+)"
    for before in ("", _PREFIX):
        pattern = re.compile(rf"(?<![\w.-])(?P<name>{before}{name}){between}", re.IGNORECASE)
        if suggested := _suggest(pattern, lines):
            return suggested
    return None


def _suggest(pattern: re.Pattern[str], lines: Sequence[str]) -> str | None:
    for line in reversed(lines):
        for match in pattern.finditer(line):
            number = _NUMBER.match(line, match.start("value"))
            if number:
                between = re.sub(r"\s+", r"\\s*", escaped(match["between"]))
                group = r"(\S+)" if parse_number(match["value"]) is not None else NUMBER_GROUP
                return rf"\b{escaped(match['name'])}{between or ' '}{group}"
    return None


def escaped(text: str) -> str:
    """Return a text as a part of an expression, as easy to read as possible."""
    return re.escape(text).replace(r"\ ", " ").replace(r"\-", "-")


def misread_numbers(expression: str, lines: Sequence[str]) -> list[MisreadNumberError]:
    """Return why a trial that prints these lines fails: the numbers that an expression misreads."""
    import regex

    found: list[MisreadNumberError] = []
    try:
        pattern = regex.compile(expression)
        search = partial(pattern.finditer, timeout=_TIMEOUT)
        reader = MetricReader("", pattern, search)  # type: ignore[arg-type]
        for line in lines:
            try:
                reader.read(line)
            except MisreadNumberError as error:
                found.append(error)
    except (regex.error, TimeoutError):
        pass
    return found


def reader_warning(name: str, expression: str, lines: Sequence[str]) -> str:
    """Return why the numbers of a metric may be others, as a run reports it; empty if not."""
    import regex

    try:
        pattern = regex.compile(expression)
        search = partial(pattern.finditer, timeout=_TIMEOUT)
        reader = MetricReader(name, pattern, search)  # type: ignore[arg-type]
        for line in lines:
            with suppress(MisreadNumberError):
                reader.read(line)
    except (regex.error, TimeoutError):
        return ""
    return reader.warning


NUMBER_GROUP = r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)"
"""A group for a number that text follows directly."""


def ambiguous_names(captures: Sequence[Capture], *, several_words: bool = False) -> list[str]:
    """Return the different words with which matches begin, if there are several.

    With ``several_words``, also the word before each one counts. Then a name is left out if its
    values are all printed under others, as in a last line that repeats the best value.
    """
    valid = [each for each in captures if each.value is not None]
    values: dict[str, list[float | None]] = {}
    for each in valid:
        values.setdefault(each.name if several_words else each.word, []).append(each.value)
    if several_words:
        for name in [*values]:
            others = {value for other in values if other != name for value in values[other]}
            if others.issuperset(values[name]):
                del values[name]
    return [*values] if len({re.sub(r"\d+", "#", name) for name in values}) > 1 else []


def ambiguous_line(captures: Sequence[Capture]) -> Capture | None:
    """Return the last match on a line that has several matches with different values, if any."""
    for before, after in pairwise(captures):
        is_same_line = before.line == after.line and before.start < after.start
        if is_same_line and before.value != after.value and before.step == after.step:
            return after
    return None
