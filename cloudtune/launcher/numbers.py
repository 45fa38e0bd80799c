"""Numbers as programs print them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match

_RAISED = r"[\u207a\u207b]?[\u00b2\u00b3\u00b9\u2070-\u2079]+"
_TEN_TO = r"\s?[*x\u00d7\u00b7]\s?10(?:(?:\^|\*\*)[({]?[-+\u2212]?\d+|" + _RAISED + ")"
WHOLE_NUMBER = (
    r"(?<![\w.])(?:(?<![-+\u2212)\]%])[-+\u2212])?"
    r"(?:0[xX]\.?[0-9a-fA-F][0-9a-fA-F.]*(?:[pP][-+]?\d+)?"
    r"|(?P<grouped>\d{1,3}(?:[,'\u2019\u00a0\u2009\u202f]\d{3})+(?![\d,])(?:\.\d+)?"
    r"|(?:\d{1,3}(?:[.'\u2019\u00a0\u2009\u202f]\d{3})+|\d+),\d+(?![\d,\])}]|\.\d)"
    r"|\d+(?::[0-5]\d){1,2}(?:\.\d+)?(?![\w:]))"
    r"|\d*\.\d+[-+]\d{3}(?![\w.])"  # of Fortran: its exponents of three digits have no letter
    r"|(?:\d{1,3}(?:_\d{3})+(?![\d_])(?:\.\d+)?|\d+\.?\d*|\.\d+)"
    r"(?:[eE][-+\u2212\u2013]?\d+|[dDqQ][-+]\d+|#[A-Z]\w+|(?:\^|\*\*)\d+|"
    + _RAISED
    + "|"
    + _TEN_TO
    + r")?"
    r"(?P<unit>(?:\s?(?:[mnu\u00b5\u03bc]s|[kKMGTP]i?B)|[kKMGT]|[hm]\d[\dhms.]*)(?!\w))?)"
)
"""A number as programs print it: with sign, exponent, thousands or a decimal comma, in hexadecimal,
as a time, or with a unit that changes with its size."""
_GOES_ON = (
    r"[\w.+\-\u2212*^\u00d7\u00b7#]|[,:'\u2019\u00a0\u2009\u202f]\d"
    r"|\s(?:[*x\u00d7\u00b7]\s?10|[mnu\u00b5\u03bc]s|[kKMGTP]i?B)"
)
"""What follows a part of a number."""


def parse_number(text: str) -> float | None:
    """Return the number in a regex's match, without punctuation behind it; None if not a number."""
    try:
        return float(text.strip().rstrip(",;.)]}'\""))
    except ValueError:
        return None


def whole_number(match: Match[str], group: int) -> Match[str] | None:
    """Return the number of which a match reads only a part, with another value; None if none.

    A sign or a unit that the regex itself names outside of its group is left out on purpose, and
    what looks like thousands may be columns if the regex names the comma.
    """
    import re

    start, end = match.span(group)
    line = match.string
    before = line[max(0, start - 1) : max(0, start)]
    is_inside = before.isalnum() or before in ("_", ".", ",", "+", "-", "\u2212")
    if start >= end or not (is_inside or re.compile(_GOES_ON).match(line, end)):
        return None
    value = parse_number(line[start:end])
    for token in re.finditer(WHOLE_NUMBER, line):
        if not overlaps(match, group, *token.span()):
            continue
        if start <= token.start() and token.end() <= end:
            return None
        names_rest = match.end() > end and not re.search(r"\)\.[*+]\??$", match.re.pattern)
        if token["grouped"] and (token.start() != start or names_rest):
            return None
        text = token[0]
        if token["unit"] and names_rest:
            text = text[: -len(token["unit"])]
        number = token_value(text)
        names_sign = re.search(r"-\((?:\?P<|[^?])", match.re.pattern) is not None
        if names_sign and token.end() <= end and number is not None and value == abs(number):
            return None
        return None if value is not None and value == number else token
    return None


def token_value(text: str) -> float | None:
    """Return the value of a printed number, None if it has thousands or a unit."""
    try:
        return float.fromhex(text) if "x" in text.lower() else float(text.replace("\u2212", "-"))
    except (ValueError, OverflowError):
        return None


def overlaps(match: Match[str], group: int, start: int, end: int) -> bool:
    """Return whether a group of a match has a part of a range."""
    return match.start(group) < end and match.end(group) > start
