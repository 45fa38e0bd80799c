"""Values of formats that write numbers as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cloudtune.study.search_space import Value, format_value
from cloudtune.study.yaml_reader import parse_scalar

_LARGEST = sys.float_info.max


def parse_number(value: Any) -> int | float | None:
    """Return the finite number that a value is or spells; None if it is not one.

    >>> parse_number("1e-5"), parse_number("4.0"), parse_number("four")
    (1e-05, 4.0, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if -_LARGEST <= value <= _LARGEST else None
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip().removeprefix("+")
    try:
        number = parse_scalar(text)
    except ValueError:
        return None
    return None if isinstance(number, str) else parse_number(number)


def describe_value(value: Any) -> str:
    """Return the end of a message on a wrong value, which may be absent.

    >>> describe_value("Max"), describe_value(None)
    ("not 'Max'", 'and is absent')
    """
    return "and is absent" if value is None else f"not {value!r}"


def parse_text(text: str) -> Value:
    """Return the number that prints back as the same text, else the text itself.

    >>> parse_text("7"), parse_text("007"), parse_text("1e-5"), parse_text("true")
    (7, '007', '1e-5', 'true')
    """
    number = parse_number(text)
    return number if number is not None and format_value(number) == text else text


def parse_texts(texts: Sequence[str]) -> list[Value]:
    """Return numbers if all texts are numbers that print back as the same text, else the texts."""
    numbers = [parse_text(text) for text in texts]
    if any(isinstance(number, str) for number in numbers):
        return list(texts)
    return numbers


def typed(value: Any) -> tuple[str, Any]:
    """Return a value with its type, by which 1, 1.0 and True differ."""
    return type(value).__name__, value


def unique_values(values: Sequence[Any]) -> list[Any]:
    """Return values without those that repeat an earlier one of the same type."""
    kept: dict[tuple[str, Any], Any] = {}
    for value in values:
        kept.setdefault(typed(value), value)
    return list(kept.values())


def choice(values: Sequence[Any]) -> dict[str, Any]:
    """Return the definition of a choice between typed values; true and false are a boolean."""
    unique = unique_values(values)
    if len(unique) == 2 and all(isinstance(value, bool) for value in unique):
        return {"type": "bool"}
    return {"type": "categorical", "values": unique}


def rising_numbers(values: Sequence[Any]) -> list[int | float] | None:
    """Return the values as different numbers in increasing order; None if one is not a number.

    All whole numbers are integers; else all are floats.
    """
    parsed = [number for value in values if (number := parse_number(value)) is not None]
    if len(parsed) < len(values):
        return None
    numbers = sorted(set(parsed))
    if all(number == int(number) for number in numbers):
        return [int(number) for number in numbers]
    return [float(number) for number in numbers]
