"""Ranges and choices of other tools: exponents as bounds, values that are rounded to a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from cloudtune.dialect.ranges import exponential, power
from cloudtune.fitting.parameters import MAX_LISTED
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.values import choice, parse_number, unique_values
from cloudtune.study.map_values import MapValue
from cloudtune.study.schema import Parameter
from cloudtune.study.search_space import count_values, list_values
from cloudtune.study.yaml_reader import is_list, is_map

_HALF = Decimal("0.5")
_MAX_STEPS = 2**53
_SHOWN = 60
"""The characters of a value in a message, at most."""


@dataclass(frozen=True)
class Quantized:
    """A range whose values are rounded to multiples of a step, as a study has it."""

    parameter: Json
    is_exact: bool
    """Whether the range can be derived from the parameter again."""
    difference: str = ""
    """How the values of the parameter differ from those of the range."""


def quantize(low: float, high: float, step: float, *, log: bool = False) -> Quantized:
    """Return the parameter with the values ``round(x / step) * step`` for x between two bounds.

    Args:
        low: The lower bound of x.
        high: The upper bound of x.
        step: The step, above 0.
        log: Whether x is drawn on a log scale.
    """
    bottom, top, unit = (Decimal(repr(number)) for number in (low, high, step))
    scale = {"scale": "log"} if log else {}
    plain: Json = {"type": "float", "min": low, "max": high, **scale}
    without_step = f"the step {step} is left out"
    if max(abs(bottom), abs(top)) > unit * _MAX_STEPS or low > high:
        return Quantized(plain, is_exact=False, difference=without_step)
    first, last = (
        int((bound / unit).to_integral_value(ROUND_HALF_EVEN)) for bound in (bottom, top)
    )
    if low < high:  # no x between the bounds is rounded away from a half at one
        first = int((bottom / unit + _HALF).to_integral_value(ROUND_FLOOR))
        last = max(first, int((top / unit - _HALF).to_integral_value(ROUND_CEILING)))
    fits = first * unit == bottom and last * unit == top
    if log and first <= 0:
        return _log_above_zero(last, unit, plain, without_step)
    if not log:
        ends = _number(first * unit), _number(last * unit)
        kind = "int" if unit == int(unit) else "float"
        low, high = ends if kind == "int" else map(float, ends)
        spacing = {"step": _number(unit)} if first < last else {}
        return Quantized(
            {"type": kind, "min": low, "max": high, **spacing}, is_exact=fits and first < last
        )
    if unit == 1:
        return Quantized({"type": "int", "min": first, "max": last, **scale}, is_exact=fits)
    if last - first > MAX_LISTED:
        return Quantized(plain, is_exact=False, difference=without_step)
    values = [number * unit for number in range(first, last + 1)]
    return Quantized(_discrete(values, scale), is_exact=False)


def _log_above_zero(last: int, unit: Decimal, plain: Json, without_step: str) -> Quantized:
    """Return the values above 0 of a rounded log range: a log scale has no 0."""
    difference = "the value 0, to which small ones are rounded, is left out"
    if unit == 1 and last > 0:
        integers: Json = {"type": "int", "min": 1, "max": last, "scale": "log"}
        return Quantized(integers, is_exact=False, difference=difference)
    if not 0 < last <= MAX_LISTED:
        return Quantized(plain, is_exact=False, difference=without_step)
    values = [number * unit for number in range(1, last + 1)]
    return Quantized(_discrete(values, {"scale": "log"}), is_exact=False, difference=difference)


def _discrete(values: Sequence[Decimal], scale: Json) -> Json:
    numbers = list(dict.fromkeys(map(_number, values)))
    if any(isinstance(number, float) for number in numbers):
        numbers = list(map(float, numbers))
    return {"type": "discrete", "values": numbers, **scale}


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def take_quantized(
    fields: Fields,
    bounds: tuple[float, float],
    step: float,
    *,
    log: bool = False,
) -> Json | None:
    """Return the parameter of a rounded range.

    A range that cannot be derived from the parameter again stays in the rest.

    Args:
        fields: The definition, from which all keys are taken.
        bounds: The bounds of the values.
        step: The step, which is ``q``.
        log: Whether values are drawn on a log scale.
    """
    if step <= 0:
        fields.mistake("q", f"must be greater than 0, not {step}")
        return None
    quantized = quantize(*bounds, step, log=log)
    if not quantized.is_exact:
        keep_whole(fields)
        text = "elsewhere, the study has the values to which this rounds"
        if quantized.difference:
            fields.approximate("q", f"elsewhere, {quantized.difference}")
        else:
            fields.note("q", text)
    return quantized.parameter


def take_spaced(fields: Fields, bounds: tuple[float, float], step: float) -> Json | None:
    """Return the parameter with the values from the lower bound on, below the upper one.

    The definition, from which all keys are taken, stays in the rest. The step is its ``q``.
    """
    if step <= 0 or bounds[0] >= bounds[1]:
        fields.mistake("q", f"no values from {bounds[0]} to below {bounds[1]} in steps of {step}")
        return None
    low, high, unit = (Decimal(repr(number)) for number in (*bounds, step))
    count = int(((high - low) / unit).to_integral_value(ROUND_CEILING))
    last = _number(low + (count - 1) * unit)
    keep_whole(fields)
    fields.note("q", f"in a grid, the values start at {bounds[0]} and end at {last}")
    is_int = all(isinstance(each, int) for each in (_number(low), _number(unit)))
    low_number = _number(low)
    spacing = {"step": _number(unit)} if count > 1 else {}
    return {"type": "int" if is_int else "float", "min": low_number, "max": last, **spacing}


def take_exponents(
    fields: Fields, key: str, bounds: tuple[float, float], hint: str, base: float = math.e
) -> tuple[float, float] | None:
    """Return a base to the power of two bounds; None if one is too large.

    Args:
        fields: The definition.
        key: The key of the lower bound, for messages.
        bounds: The exponents.
        hint: What to do if the bounds are meant as values.
        base: The base.
    """
    low, high = (exponential(bound, base) for bound in bounds)
    name = "e" if base == math.e else f"{base:g}"
    if low is None or high is None:
        message = f"the bounds are exponents of {name}, and one is too large"
        fields.mistake(key, message, f"if the bounds are meant as values, {hint}")
        return None
    text = f"the bounds are exponents of {name}: the values are {low:.6g} to {high:.6g}"
    if bounds[0] >= 0 and bounds[1] <= 1:
        fields.warn(key, f"{text}; if the bounds are meant as values, {hint}")
    else:
        fields.note(key, text)
    return low, high


@cache
def _parameter_adapter() -> TypeAdapter[Parameter]:
    return TypeAdapter(Parameter)


def parse_parameter(definition: Json) -> Parameter:
    """Return the parameter of a definition, which must be valid."""
    return _parameter_adapter().validate_python(definition)


def list_definition(definition: Json, fields: Fields, key: str) -> Json:
    """Return the values of a step on a log scale, which a study has only as a list.

    The definition stays in the rest. Without the step if it has too many values.

    Args:
        definition: The parameter with the step.
        fields: The definition in the document.
        key: The key of the step, for messages.
    """
    keep_whole(fields)
    parameter = parse_parameter(definition)
    if (count_values(parameter) or 0) > MAX_LISTED:
        fields.approximate(key, f"elsewhere, the step {definition['step']} is left out")
        return {name: value for name, value in definition.items() if name != "step"}
    fields.note(key, "elsewhere, the study has the values to which this rounds")
    return {"type": "discrete", "values": list(list_values(parameter) or ()), "scale": "log"}


def take_choice(fields: Fields, key: str, values: Sequence[Any]) -> Json | None:
    """Return the parameter of a choice between values; None if a study cannot hold one of them."""
    if values and all(map(_is_map_of_scalars, values)):
        keep_whole(fields)
        fields.note(key, "a study passes each part of a map as an argument NAME.KEY")
        maps = {MapValue(each): each for each in values}
        if len(maps) < len(values):
            fields.approximate(key, "elsewhere, a repeated value counts once")
        return {"type": "categorical", "values": [*maps.values()]}
    others = [value for value in values if is_map(value) or is_list(value) or value is None]
    if others:
        shown = "null" if others[0] is None else f"{others[0]!r}"
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        reason = (
            "a study has only strings, numbers and booleans as values of a choice, or maps of "
            f"them, not {shown}; give each value a name, and look it up in the script"
        )
        fields.refuse(key, reason)
        return None
    unique = unique_values(values)
    if len(unique) < len(values):
        keep_whole(fields)
        fields.approximate(key, "elsewhere, a repeated value counts once")
    return choice(unique)


def _is_map_of_scalars(value: Any) -> bool:
    return is_map(value) and bool(value) and all(map(_is_scalar, value.values()))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or parse_number(value) is not None


def keep_whole(fields: Fields) -> None:
    """Put a definition back as it is, so that an export writes the same one."""
    for key, part in fields.original.items():
        fields.put(key, part)


def read_power(
    fields: Fields, key: str, low: float, high: float, step: float | None, *, whole: bool
) -> Json | None:
    """Take the base of a range, and return the range with values as bounds.

    Whole exponents, or those of a step, are a list of values; others are a float on a log scale.

    Args:
        fields: The range.
        key: The key of the base: a number above 1, or ``e``.
        low: The smallest exponent.
        high: The largest exponent.
        step: The distance between exponents; None for any value, or 1 for whole exponents.
        whole: Whether the exponents are whole numbers.

    Returns:
        The parameter, or None with a mistake or a finding.
    """
    text = fields.word(key)
    base = math.e if str(text).lower() == "e" else parse_number(text)
    if base is None or base <= 1:
        fields.mistake(key, f"must be a base above 1, not {text!r}")
        return None
    if low > high or (step is not None and step <= 0):
        fields.mistake(key, f"no exponents from {low} to {high} with the step {step}")
        return None
    if step is None and not whole:
        first, last = power(base, low), power(base, high)
        if not 0 < first <= last < math.inf:
            fields.mistake(key, f"the exponents {low} to {high} are not those of numbers")
            return None
        return {"type": "float", "min": first, "max": last, "scale": "log"}
    distance = 1 if step is None else step
    count = (high - low) / distance + 1 + 1e-9
    if count > MAX_LISTED:
        reason = f"a step of exponents with more than {MAX_LISTED:,} values"
        fields.refuse(key, reason)
        return None
    values = [power(base, low + index * distance) for index in range(int(count))]
    if not 0 < values[0] <= values[-1] < math.inf:
        fields.mistake(key, f"the exponents {low} to {high} are not those of numbers")
        return None
    numbers: list[int | float] = list(dict.fromkeys(values))
    if all(number == int(number) for number in numbers):
        numbers = [int(number) for number in numbers]
    if len(numbers) > 1:
        fields.note(key, f"the bounds are exponents of {text}, so the study lists the values")
    return {"type": "discrete", "values": numbers, "scale": "log"}
