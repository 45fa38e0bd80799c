"""The values that plain scalars stand for, in YAML 1.1 (as PyYAML reads them) and in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any, Literal

from cloudtune.study.yaml_reader import parse_scalar

YamlVersion = Literal["1.1", "1.2"]

_BOOLEANS_1_1 = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF"), False),
}
_NUMBER_1_1 = re.compile(
    r"[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)"
    r"|([-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?"
)
"""Integers and floats of YAML 1.1, as PyYAML reads them: an exponent needs a point and a sign."""
_SEXAGESIMAL = re.compile(
    r"([-+]?)([1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)"
)
"""Numbers to the base 60 of YAML 1.1, such as 1:30 for 90."""


def parse_scalar_of(text: str, version: YamlVersion) -> Any:
    """Return the value of a plain scalar; raise ValueError if it cannot be read."""
    if version == "1.2":
        return parse_scalar(text)
    if text in _BOOLEANS_1_1:
        return _BOOLEANS_1_1[text]
    if text[:1] in tuple("0123456789+-.") and text[-4:].lower() not in {".inf", ".nan"}:
        if sixty := _SEXAGESIMAL.fullmatch(text):
            return _read_sexagesimal(sixty[1], sixty[2].replace("_", ""))
        if not _NUMBER_1_1.fullmatch(text):
            return text
        digits = text.replace("_", "")
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        if octal:
            return int(octal[1] + octal[2], 8)
        return int(digits, 0) if re.fullmatch(r"[-+]?0[bx].*", digits) else parse_scalar(digits)
    return parse_scalar(text)


def is_number_only_in_yaml_1_2(text: str) -> bool:
    """Return whether a text is a number for YAML 1.2 and text for YAML 1.1, such as 1e-5.

    >>> is_number_only_in_yaml_1_2("1e-5"), is_number_only_in_yaml_1_2("100")
    (True, False)
    """
    try:
        return isinstance(parse_scalar(text), int | float) and isinstance(
            parse_scalar_of(text, "1.1"), str
        )
    except (ValueError, IndexError):
        return False


def _read_sexagesimal(sign: str, digits: str) -> int | float:
    total: int | float = 0
    for part in digits.split(":"):
        total = total * 60 + (float(part) if "." in part else int(part))
    total = float(total) if "." in digits else total
    return -total if sign == "-" else total
