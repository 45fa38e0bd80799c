"""Sweeps of Hydra's override grammar, such as ``tag(log, interval(0.001, 0.1))``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from cloudtune.fitting.parameters import MAX_LISTED
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ranges import take_choice
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_BRACKETS = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*(_\d+)*)", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(\d[\d_]*\.[\d_]*([eE][+-]?\d+)?|\.\d[\d_]*([eE][+-]?\d+)?|\d[\d_]*[eE][+-]?\d+)",
    re.ASCII,
)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_SPECIAL = frozenset([*_WORDS, "nan", "inf"])
_CASTS: Mapping[str, Callable[[Any], Any]] = {"int": int, "float": float}
_NAMES = {"interval": ("start", "end"), "range": ("start", "stop", "step")}
_ORDERS = frozenset({"shuffle", "sort"})


def read_expression(fields: Fields, key: str) -> Json | None:
    """Take the value of a parameter: a parameter, or None for a constant or after a mistake.

    A constant stays where it is.
    """
    value = fields.peek(key)
    if not is_sweep(value):
        return None
    fields.take(key)
    try:
        sweep = _evaluate(value)
        if not isinstance(sweep, _Numbers):
            return take_choice(fields, key, sweep)
        if sweep.is_log and sweep.function == "range":
            fields.warn(key, "linear: the plugin reads the tag log only of interval(...)")
        return _definition(sweep)
    except _UnknownFunctionError as error:
        known = "choice, interval and range"
        fields.refuse(key, f"a study has no sweep {error}(...); it has {known}")
    except (ValueError, TypeError, OverflowError, RecursionError):
        name = next((name for name in _NAMES if name in value), "a sweep")
        fields.mistake(key, f"{name} needs numbers in increasing order, not {value[:60]}")
    return None


class _UnknownFunctionError(Exception):
    """A function that a study does not have."""


@dataclass(frozen=True)
class _Numbers:
    """The numbers of ``interval`` or ``range``."""

    function: str
    low: float
    high: float
    step: float | None = None
    is_log: bool = False


def _evaluate(text: str) -> _Numbers | list[Any]:
    """Return the numbers or the choices of a sweep."""
    function, arguments = _parse_call(text)
    if function is None:
        return list(map(parse_element, arguments))
    if function == "choice":
        return list(map(_parse_choice, arguments))
    if function in _NAMES:
        return _numbers(function, arguments)
    if function == "tag":
        sweep = _evaluate(arguments[-1])
        if isinstance(sweep, _Numbers) and "log" in arguments[:-1]:
            return replace(sweep, is_log=True)
        return sweep
    if function not in {*_CASTS, *_ORDERS}:
        raise _UnknownFunctionError(function)
    inner = arguments if function in _CASTS else [each for each in arguments if "=" not in each]
    plain = ", ".join(inner)
    if function in _ORDERS and _parse_call(plain)[0] is None:
        return list(map(_parse_choice, inner))
    sweep = _evaluate(plain)
    if function in _CASTS:
        return _cast(sweep, _CASTS[function])
    if function == "shuffle" and isinstance(sweep, _Numbers) and sweep.function == "range":
        return _shuffled(sweep)
    return sweep


def _numbers(function: str, arguments: list[str]) -> _Numbers:
    plain = [each for each in arguments if "=" not in each]
    if function == "range" and len(plain) == len(arguments) == 1:
        plain = ["0", *plain]
    texts = dict(zip(_NAMES[function], plain, strict=False))
    for each in arguments:
        name, equals, text = each.partition("=")
        texts |= {name.strip(): text.strip()} if equals else {}
    found: dict[str, Any] = {name: parse_element(text) for name, text in texts.items()}
    low, high, step = (found.get(name) for name in (*_NAMES[function], "step")[:3])
    step = 1 if "step" not in found else step
    numbers: list[Any] = [low, high, step]
    if not all(isinstance(each, int | float) for each in numbers) or numbers[2] <= 0:
        raise ValueError(function)
    if function == "interval":
        return _Numbers(function, *_in_order(float(numbers[0]), float(numbers[1])))
    return _Numbers(function, *_in_order(*numbers[:2]), numbers[2])


def _in_order(low: Any, high: Any) -> tuple[Any, Any]:
    if not -math.inf < low <= high < math.inf:
        raise ValueError(low)
    return low, high


def _cast(sweep: _Numbers | list[Any], cast: Callable[[Any], Any]) -> _Numbers | list[Any]:
    if not isinstance(sweep, _Numbers):
        return list(map(cast, sweep))
    step = None if sweep.step is None else cast(sweep.step)
    if step == 0:
        raise ValueError(step)
    return replace(sweep, low=cast(sweep.low), high=cast(sweep.high), step=step)


def _shuffled(sweep: _Numbers) -> list[Any]:
    """Return the values of a shuffled range, which for the plugin is a choice: without the end."""
    step = sweep.step or 1
    count = math.ceil((Decimal(repr(sweep.high)) - Decimal(repr(sweep.low))) / Decimal(repr(step)))
    if count > MAX_LISTED:
        raise ValueError(count)
    values = (Decimal(repr(sweep.low)) + n * Decimal(repr(step)) for n in range(count))
    kind = int if all(isinstance(each, int) for each in (sweep.low, sweep.high, step)) else float
    return list(map(kind, values))


def _definition(sweep: _Numbers) -> Json:
    step = sweep.step
    is_int = all(isinstance(each, int) for each in (sweep.low, sweep.high, step or 1))
    spacing = {"step": step} if step is not None and not (is_int and step == 1) else {}
    scale = {"scale": "log"} if sweep.is_log and sweep.function == "interval" else {}
    kind = "int" if is_int else "float"
    return {"type": kind, "min": sweep.low, "max": sweep.high, **spacing, **scale}


def _parse_call(text: str) -> tuple[str | None, list[str]]:
    call = _CALL.fullmatch(text)
    return (call[1], _split(call[2])) if call else (None, _split(text))


def _split(text: str) -> list[str]:
    """Return the parts between commas that are in no quotes and no parentheses."""
    parts, depth, quote, start = list[str](), 0, "", 0
    for index, char in enumerate(text):
        if quote:
            before = text[:index]
            is_escaped = (len(before) - len(before.rstrip("\\"))) % 2
            quote = "" if char == quote and not is_escaped else quote
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
    """Return the value of an element as Hydra does: a text, a number, a boolean or None.

    >>> parse_element("'a b'"), parse_element("1e-3"), parse_element("True"), parse_element("adam")
    ('a b', 0.001, True, 'adam')
    """
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        escaped = rf"(\\+)({text[0]}|\Z)"
        return re.sub(escaped, lambda m: m[1][: len(m[1]) // 2] + m[2], text[1:-1])
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _parse_choice(text: str) -> Any:
    """Return an element in a call, whose outer quotes the plugin takes away before Hydra reads it.

    >>> _parse_choice("'1'"), _parse_choice("'a b'")
    (1, 'a b')
    """
    value = parse_element(text)
    return parse_element(value) if isinstance(value, str) else value


def write_expression(parameter: Parameter, values: Sequence[Any]) -> str:
    """Return the sweep of a fitted parameter; `values` are those of a choice."""
    if not isinstance(parameter, FloatParameter | IntParameter):
        texts = list(map(write_element, values))
        return ", ".join(texts) if len(texts) > 1 else f"choice({_write_choice(texts[0])})"
    number = int if isinstance(parameter, IntParameter) else float
    low, high = (repr(number(bound)) for bound in (parameter.min, parameter.max))
    if parameter.step is not None and not (number is int and parameter.step == 1):
        return f"range({low}, {high}, step={number(parameter.step)!r})"
    interval = f"interval({low}, {high})"  # of floats, unless it is cast
    interval = f"int({interval})" if number is int else interval
    return f"tag(log, {interval})" if parameter.scale == "log" else interval


def _write_choice(text: str) -> str:
    """Return an element of ``choice``: quotes need quotes, since the plugin takes some away."""
    if not text.startswith("'"):
        return text
    return '"' + re.sub(r'(\\*)("|\Z)', lambda m: 2 * m[1] + ('\\"' if m[2] else ""), text) + '"'


def write_element(value: Any) -> str:
    """Return a value as an element of a sweep."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _SPECIAL:
        return value
    if value.lower() == "null" or (_BRACKETS.fullmatch(value) and len(_split(value)) == 1):
        return value  # what a study has as text only: it is passed to a script of Hydra like this
    # A backslash is escaped only before a quotation mark, and at the end.
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value) + "'"


def is_sweep(value: Any) -> bool:
    """Return whether a value is no constant: a list is one to Hydra, as it is to a script."""
    if not isinstance(value, str):
        return False
    return _parse_call(value)[0] is not None or len(_split(value)) > 1
