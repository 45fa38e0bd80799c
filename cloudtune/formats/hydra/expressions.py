"""Sweeps of Hydra's override grammar, such as ``tag(log, interval(0.001, 0.1))``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ranges import take_choice
from cloudtune.formats.values import parse_number
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter
from cloudtune.study.yaml_reader import is_list, is_map

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_SPECIAL = frozenset([*_WORDS, "nan", "inf"])


def read_expression(fields: Fields, key: str) -> Json | None:
    """Take the value of a parameter: a parameter, or None for a constant or after a mistake.

    A constant stays where it is.
    """
    value = fields.peek(key)
    if is_list(value):
        fields.take(key)
        return take_choice(fields, key, value)
    if not isinstance(value, str):
        return None
    function, arguments = _parse_call(value)
    if function is None:
        parts = _split(value)
        if len(parts) < 2 or value.strip().startswith(("[", "{")):
            return None
        fields.take(key)
        return take_choice(fields, key, list(map(parse_element, parts)))
    fields.take(key)
    return _sweep(fields, key, function, arguments)


def _sweep(fields: Fields, key: str, function: str, arguments: list[str]) -> Json | None:
    if function == "choice":
        return take_choice(fields, key, list(map(parse_element, arguments)))
    if function == "tag" and arguments:
        inner, bounds = _parse_call(arguments[-1])
        definition = _sweep(fields, key, str(inner), bounds)
        if definition is not None and "log" in arguments[:-1]:
            definition |= {"scale": "log"}
        return definition
    if function in {"int", "float"} and len(arguments) == 1:
        inner, bounds = _parse_call(arguments[0])
        kind = int if function == "int" else float
        return _sweep(fields, key, str(inner), [repr(kind(parse_number(b) or 0)) for b in bounds])
    if function in {"shuffle", "sort"} and arguments:
        inner, bounds = _parse_call(arguments[0])
        return _sweep(fields, key, str(inner), bounds)
    if function in {"interval", "range"}:
        return _range(fields, key, function, arguments)
    fields.refuse(key, f"a study has no sweep {function}(...); it has choice, interval and range")
    return None


def _range(fields: Fields, key: str, function: str, arguments: list[str]) -> Json | None:
    words = ("start", "end") if function == "interval" else ("start", "stop", "step")
    found: dict[str, Any] = {}
    plain = [each for each in arguments if "=" not in each]
    if function == "range" and len(plain) == 1 and len(arguments) == len(plain):
        plain = ["0", *plain]
    for name, text in zip(words, plain, strict=False):
        found[name] = parse_number(text)
    for each in arguments:
        name, equals, text = each.partition("=")
        if equals:
            found[name.strip()] = parse_number(text)
    low, high, step = found.get("start"), found.get(words[1]), found.get("step")
    if low is None or high is None or ("step" in found and not step) or low > high:
        message = f"{function} needs numbers in increasing order, not {', '.join(arguments)}"
        fields.mistake(key, message)
        return None
    if function == "range" and step is None:
        step = 1
    is_int = all(isinstance(each, int) for each in (low, high, *([step] if step else ())))
    spacing = {"step": step} if step is not None and not (is_int and step == 1) else {}
    return {"type": "int" if is_int else "float", "min": low, "max": high, **spacing}


def _parse_call(text: str) -> tuple[str | None, list[str]]:
    call = _CALL.fullmatch(text)
    return (call[1], _split(call[2])) if call else (None, [])


def _split(text: str) -> list[str]:
    """Return the parts between commas that are in no quotes and no parentheses."""
    parts, depth, quote, start = list[str](), 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[index - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def parse_element(text: str) -> Any:
    """Return the value of an element: a text, a number, a boolean or None.

    >>> parse_element("'a b'"), parse_element("1e-3"), parse_element("True"), parse_element("adam")
    ('a b', 0.001, True, 'adam')
    """
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return text[1:-1].replace(f"\\{text[0]}", text[0])
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    number = parse_number(text)
    return text if number is None else number


def write_expression(parameter: Parameter, values: Sequence[Any]) -> str:
    """Return the sweep of a fitted parameter; `values` are those of a choice."""
    if not isinstance(parameter, FloatParameter | IntParameter):
        return f"choice({', '.join(map(write_element, values))})"
    number = int if isinstance(parameter, IntParameter) else float
    low, high = (repr(number(bound)) for bound in (parameter.min, parameter.max))
    if parameter.step is not None and not (number is int and parameter.step == 1):
        return f"range({low}, {high}, step={number(parameter.step)!r})"
    interval = f"interval({low}, {high})"
    return f"tag(log, {interval})" if parameter.scale == "log" else interval


def write_element(value: Any) -> str:
    """Return a value as an element of a sweep."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _SPECIAL:
        return value
    return "'" + value.replace("'", "\\'") + "'"


def is_sweep(value: Any) -> bool:
    """Return whether a value is no constant."""
    if is_list(value) or is_map(value):
        return True
    return isinstance(value, str) and (_parse_call(value)[0] is not None or len(_split(value)) > 1)
