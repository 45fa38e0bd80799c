"""Reads metrics in printed lines."""

from __future__ import annotations

from cloudtune.launcher.numbers import (
    WHOLE_NUMBER,
    overlaps,
    parse_number,
    token_value,
    whole_number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from re import Match, Pattern

_REGEX_PART = (
    r"(?P<class>\\[dDsSwWbBAZntrfva]|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|[.^$+|])"
    r"|(?P<open>\((?!\?)|\(\?(?::|P<|=|!|<))|(?P<close>\))"
    r"|(?P<optional>[*?]|\{(?:\d+,?\d*|,\d+)\})|(?P<literal>\\[^\w\s]|[^\\\[({])|(?P<unknown>.)"
)
"""A part of a regular expression, as far as `required_text` knows them."""
_NOT_FINITE = r"(?i)(?<![\w.])[-+]?(?:nan|inf(?:inity)?)(?!\w)"
"""A number that is not finite, as programs print it."""
_NO_NUMBER = r"(?<![\w.])(?i:none|null|n/?a|undefined|\*{3,})(?!\w)"
"""What programs print in place of a number."""
_WITH_NUMBER = r"[^\w.]*(?:[\w.]+[(\[]+)*[-+\u2212]?\.?\d"
"""How a text begins that contains a number and is none, such as ``0.98%`` or ``tensor(0.5)``."""
_ALLOW_SPACES = r"allow any number of them, for example with \s+"
_CAPTURE_IT_WHOLE = "capture the whole number, for example with (\\S+)"
_NAME_THE_UNIT = "name the unit in the expression, after the group"
_PRINT_IT_PLAINLY = "print it as Python reads it, such as 1234.5 or 1.2e-05"
_MAX_LABELS, _MAX_LABEL_LENGTH = 100, 60
"""Words before numbers that are remembered for each regex, and their characters."""
_MORE_DIGITS = r" \d{3}[.,]\d"
"""What follows the first digits of a number with spaces between thousands and a fraction."""
_NAME = r"[\w./-]+"
"""The name of a metric, or a part of it."""
_MAX_PADDING = 6
"""Spaces before a number that is padded to a width; tables have more."""
_MAX_LINE_LENGTH = 1000
"""Characters of the lines with numbers that are remembered."""
_MAX_DECIMALS = 8
"""Decimals up to which an expression is tried in place of a number that is not finite."""
_FORMATS = ("{:.{}f}", "1{:.{}f}", "{:.{}e}", "-{:.{}f}", "-1{:.{}f}", "-{:.{}e}")
"""How the number is written that is tried."""
MISREADS = "misreads its number"
"""What the reason of a failure says of a regex that does not read a whole number."""
_MAX_SHOWN_LINE, _MAX_SHOWN_TEXT = 100, 40
"""Characters of a printed line, and of a text in place of a number, that a message quotes."""


class MisreadNumberError(ValueError):
    """A regex does not read the whole number of its metric.

    The attributes are the text that it reads, empty if none, the number, and the line.
    """

    def __init__(self, message: str, text: str, number: str, line: str) -> None:
        super().__init__(message)
        self.text, self.number, self.line = text, number, line


class MetricReader:
    """Reads a metric in printed lines with a regex: each number whole, and none left out.

    A number is left out if the regex would read it written like others after the same word, as
    ``loss: ([0-9.]+)`` does with ``loss: -0.5``. A number that is not finite is also read by a
    regex that knows only digits.
    """

    def __init__(
        self,
        name: str,
        pattern: Pattern[str],
        search: Callable[[str], Iterable[Match[str]]],
        hide: Callable[[str], str] = str,
    ) -> None:
        """Start without any output.

        Args:
            name: The metric.
            pattern: Its regex.
            search: Returns the matches of the regex in a line.
            hide: Returns a text without secrets. Messages quote a part of what it returns.
        """
        from cloudtune.launcher.headings import Headings

        self.name = name
        self.required = required_text(pattern.pattern).strip()
        self.no_number = ""
        """What the last line had in place of a number."""
        self._warning = ""
        self.pattern = pattern
        self._search = search
        self._hide = hide
        self._group = value_group(pattern)
        self._samples: dict[str, str] = {}
        """A number that was read after each word."""
        self._passed: list[tuple[str, str, int, int]] = []
        """Numbers that were not read: the word before them, their line and place."""
        self._read_after: set[str] = set()
        """The words before numbers that were read."""
        self._wrapped: set[str] = set()
        """The words at which lines ended before a number."""
        self._names: dict[str, str] = {}
        """By how it begins outside of the match, the name of each metric that was read."""
        self._headings = Headings()

    def read(self, line: str, *, is_complete: bool = True) -> list[tuple[float, int | None]]:
        """Return the numbers in a line, and their steps.

        Raises:
            MisreadNumberError: If it does not read a whole number of a complete line.
        """
        try:
            return self._read(line, is_complete=is_complete)
        except MisreadNumberError:
            if is_complete:
                raise
            return []

    def _read(self, line: str, *, is_complete: bool) -> list[tuple[float, int | None]]:
        import re

        group, end_of_last, self.no_number = self._group, 0, ""
        matches = list(self._search(line))
        numbers: dict[int, tuple[float, int | None]] = {}
        for match in matches:
            text, start = match[group] or "", match.start(group)
            number = parse_number(text)
            token = whole_number(match, group)
            if token:
                raise self._misread(text, token[0], line, _cure(token))
            if number is not None:
                numbers[start] = number, matched_step(match)
                end = start + len(text)
                if re.fullmatch(r"-?\d{1,3}", text) and re.match(_MORE_DIGITS, line[end : end + 6]):
                    self._warn_of_part()
                self._learn(_label(line, start), text)
                if len(self._read_after) < _MAX_LABELS:
                    self._read_after.add(_last_words(line, start))
                self._add_name(match, line[end_of_last : match.start()], text, number)
            elif re.match(_WITH_NUMBER, text):
                cure = "capture only a number, or " + _PRINT_IT_PLAINLY
                raise self._misread(text, text, line, cure)
            else:
                self.no_number = text or self.no_number
            end_of_last = match.end()
        if len(set(numbers.values())) > len({step for _, step in numbers.values()}):
            self._warn_of_several("several numbers of a line as one metric")
        may_wrap = self.required.endswith((b":", b"=")) and len(self._wrapped) < _MAX_LABELS
        if may_wrap and is_complete and not matches:
            early_end = re.escape(self.required.decode()) + r"(?=\s*$|\s\s+(?![-+\d.\s]))"
            self._wrapped.update(_last_words(line, m.end()) for m in re.finditer(early_end, line))
        if not self._wrapped.isdisjoint(self._read_after):
            message = (
                "a line ends after {!r}: if the number of {} is on the next one, it is not read"
            )
            cure = "; print both on one, with rich by trial.env: {COLUMNS: '200'}"
            text = message.format(self.required.decode(), self.name) + cure
            self._warning = self._warning or text
        lower = line.lower()
        may_be_infinite = "nan" in lower or "inf" in lower  # the search takes most of the time
        for token in re.finditer(_NOT_FINITE, line) if may_be_infinite else ():
            start, end = token.span()
            past = [m for m in matches if m.start() <= start and end <= m.start(group)]
            is_read = any(overlaps(match, group, start, end) for match in matches)
            # A match may pass over it: in "loss (nan ignored) 0.5", but not in "loss nan acc 0.5".
            if not is_read and all(re.search(r"[\w:=]\s*$", line[m.start() : start]) for m in past):
                instead = self._match_instead(token)
                if instead:
                    for match in past:
                        numbers.pop(match.start(group), None)
                    numbers[start] = float(token[0]), matched_step(instead)
        may_miss = not matches or line.count(_label(line, matches[-1].start(group))) > len(matches)
        if may_miss and is_complete:
            self._check_others(line, matches)
        if numbers:
            self.no_number = ""
        return [numbers[start] for start in sorted(numbers)]

    def match(self, line: str) -> list[tuple[float, int | None]]:
        """Return what a service reads that applies the regex itself: each match as it is."""
        texts = [(match[self._group] or "", matched_step(match)) for match in self._search(line)]
        numbers = [(parse_number(text), text, step) for text, step in texts]
        self.no_number = next((text for number, text, _ in numbers if number is None), "")
        return [(number, step) for number, _, step in numbers if number is not None]

    @property
    def remark(self) -> str:
        """What the last line had in place of a number, as a sentence."""
        message = "the regular expression of {} last matched {!r}, which is not a number"
        text = self._hide(self.no_number)[:_MAX_SHOWN_TEXT]
        return message.format(self.name, text) if self.no_number else ""

    @property
    def warning(self) -> str:
        """Why its numbers may not be those of the metric, as a sentence; empty if all is well."""
        names = [self._hide(name) for name in self._headings.different]
        several = self._several(" and ".join(names) + " as one metric") if names else ""
        return self._warning or several

    def _add_name(self, match: Match[str], heading: str, text: str, number: float) -> None:
        """Remember the name with which a match begins, which may begin before the match."""
        import re

        beginning, rest = _name_at(match.string, match.start())
        self._headings.add(heading, beginning + rest, text, number)
        beginning = beginning if rest else ""
        prefix = re.sub(r"[\d./-]", "", beginning)
        if prefix not in self._names and len(self._names) < 2:
            self._names[prefix] = self._hide(beginning + rest)
            if len(self._names) > 1:
                self._warn_of_several(" and ".join(self._names.values()) + " as one metric")

    def _several(self, what: str) -> str:
        message = "the regular expression of {}, {}, reads {}; make it match only one {}"
        how = "(`cloudtune doctor` suggests how)"
        return message.format(self.name, self.pattern.pattern, what, how)

    def _warn_of_several(self, what: str) -> None:
        self._warning = self._warning or self._several(what)

    def _warn_of_part(self) -> None:
        message = (  # without the digits, so that all trials have the same
            "the regular expression of {}, {}, reads only the first digits where three more follow "
            "a space, as in '1 234.5'; if that is one number, print it without spaces"
        )
        self._warning = self._warning or message.format(self.name, self.pattern.pattern)

    def _misread(self, text: str, number: str, line: str, cure: str) -> MisreadNumberError:
        if not text:
            what = "does not match {}".format(self._hide(number))
        elif text == number:
            what = "reads {!r}, which is not a number,".format(self._hide(text))
        else:
            what = "reads only {!r} of {}".format(self._hide(text), self._hide(number))
        shown = self._hide(line.strip())[:_MAX_SHOWN_LINE]
        message = "the regular expression of {}, {}, {}: it {} in: {}; {}".format(
            self.name, self.pattern.pattern, MISREADS, what, shown, cure
        )
        return MisreadNumberError(message, text, number, line)

    def _learn(self, label: str, text: str) -> None:
        """Store a number that follows a word, and check those that followed it before."""
        is_new = label not in self._samples and len(self._samples) < _MAX_LABELS
        self._samples[label] = text
        for passed, line, start, end in self._passed if is_new else ():
            if passed == label:
                self._check(label, line, start, end)

    def _check_others(self, line: str, matches: Sequence[Match[str]]) -> None:
        import re

        for token in re.finditer(WHOLE_NUMBER + "|" + _NO_NUMBER, line):
            start, end = token.span()
            label = _label(line, start)
            if any(overlaps(match, self._group, start, end) for match in matches):
                continue
            if label in self._samples:
                self._check(label, line, start, end)
            elif len(self._passed) < _MAX_LABELS and end < _MAX_LINE_LENGTH:
                self._passed.append((label, line[:_MAX_LINE_LENGTH], start, end))

    def _check(self, label: str, line: str, start: int, end: int) -> None:
        for plain in (self._samples[label], " " + self._samples[label]):
            if self._reads(line[:start], plain, line[end:]):
                text = line[start:end]
                if any(map(str.isdigit, text)):
                    raise self._misread("", text, line, _CAPTURE_IT_WHOLE)
                self.no_number = text
                return
        before = line[:start].rstrip()
        is_padded = 1 < start - len(before) <= _MAX_PADDING
        if is_padded and self._reads(before + " ", self._samples[label], line[end:]):
            message = "the regular expression of {}, {}, misses numbers after more spaces; {}"
            text = message.format(self.name, self.pattern.pattern, _ALLOW_SPACES)
            self._warning = self._warning or text

    def _reads(self, before: str, number: str, after: str) -> bool:
        """Return whether the regex reads a number between two texts."""
        start, end = len(before), len(before + number)
        matches = self._search(before + number + after)
        return any(overlaps(match, self._group, start, end) for match in matches)

    def _match_instead(self, token: Match[str]) -> Match[str] | None:
        """Return the match with a plain number in place of a text, if the regex reads that."""
        before, after = token.string[: token.start()], token.string[token.end() :]
        for written in _FORMATS:
            for decimals in range(_MAX_DECIMALS + 1):
                number = written.format(0, decimals)
                for match in self._search(before + number + after):
                    if overlaps(match, self._group, len(before), len(before) + len(number)):
                        return match
        return None


def _cure(token: Match[str]) -> str:
    if token["unit"]:
        return _NAME_THE_UNIT
    return _PRINT_IT_PLAINLY if token_value(token[0]) is None else _CAPTURE_IT_WHOLE


def _name_at(line: str, start: int) -> tuple[str, str]:
    """Return the parts before and after a place of the name that is there."""
    import re

    rest = re.match(_NAME, line[start : start + _MAX_LABEL_LENGTH])
    before = re.search(_NAME + "$", line[max(0, start - _MAX_LABEL_LENGTH) : start])
    return before[0] if before else "", rest[0] if rest else ""


def _label(line: str, end: int) -> str:
    """Return the last word before a place in a line, without digits, such as ``loss``."""
    words = line[max(0, end - _MAX_LABEL_LENGTH) : end].split()
    word = words[-1].rpartition(",")[2] if words else ""
    return "".join(c for c in word.rstrip(":=") if not c.isdigit())


def _last_words(line: str, end: int) -> str:
    """Return the last two words before a place in a line, without digits: ``epoch loss:``."""
    text = line[max(0, end - _MAX_LABEL_LENGTH) : end]
    return " ".join("".join(c for c in text if not c.isdigit()).split()[-2:])


def value_group(pattern: Pattern[str]) -> int:
    """Return the group of a metric's regular expression around the value; 0 if there is none.

    It is the one named ``value``, else the first that is not named ``step``.
    """
    names = pattern.groupindex
    others = [n for n in range(1, pattern.groups + 1) if n != names.get("step")]
    return names.get("value") or next(iter(others), 0)


def matched_step(match: Match[str]) -> int | None:
    """Return the whole number in the group named ``step``; None if there is none."""
    text = match["step"] if "step" in match.re.groupindex else None
    if text is None or not text.isdecimal() or len(text) > 18:
        return None
    return int(text)


def required_text(pattern: str) -> bytes:
    """Return a text that each match of a regular expression contains; empty if none is known.

    Finding it is many times faster than the expression. It is outside of groups, in an expression
    without flags and outer alternatives.
    """
    import re

    texts, depth, index = [""], 0, 0
    for token in re.finditer(_REGEX_PART, pattern, re.DOTALL):
        if token.start() != index:
            return b""
        index = token.end()
        kind, text = token.lastgroup, token.group()
        depth += (kind == "open") - (kind == "close")
        if kind == "unknown" or (text == "|" and not depth):
            return b""
        if kind == "optional":
            texts[-1] = texts[-1][:-1]
        if kind == "literal" and not depth:
            texts[-1] += text[-1]
        else:
            texts.append("")
    text = max(texts, key=len)
    return b"" if "\ufffd" in text or index < len(pattern) else text.encode("utf-8", "ignore")
