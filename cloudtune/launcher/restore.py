"""A service's values in the types of the study."""

from __future__ import annotations

import sys

from cloudtune.launcher import SEED
from cloudtune.launcher.values import format_value, is_same_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Union

    Value = Union[bool, int, float, str]
    Json = dict[str, Any]

_TOLERANCE = 1e-6
"""Relative rounding error up to which a service's number still matches a value."""
_BOOLS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def restore_values(
    definitions: Sequence[Mapping[str, Any]], raw: Mapping[str, Any]
) -> dict[str, Value]:
    """Return the values of the active parameters in the study's types.

    Scripts and results both get their values from here. Numbers that a service has rounded become
    the value of the study.

    Args:
        definitions: One map per definition of a parameter, parents first: ``name``, ``type``;
            ``values`` of a discrete or categorical parameter; ``min``, ``max`` and ``step`` of a
            range; ``when`` with its values by parent; ``sent``, its name at the service; and
            ``fixed``, its value if the service sends none.
        raw: The service's values as text or numbers, including inactive parameters.

    Raises:
        ValueError: If a value is not one of its parameter's.

    Example:
        >>> parameter = {"name": "C", "type": "float", "min": 0.1, "max": 1}
        >>> restore_values([parameter], {"C": "0.0999999999"})
        {'C': 0.1}
    """
    values: dict[str, Value] = {}
    for definition in definitions:
        name = definition["name"]
        conditions: Mapping[str, Sequence[Value]] = definition.get("when") or {}
        active = all(
            parent in values and any(is_same_value(values[parent], value) for value in allowed)
            for parent, allowed in conditions.items()
        )
        raw_value = raw.get(definition.get("sent", name), definition.get("fixed"))
        if active and raw_value is not None and name not in values:
            values[name] = _restore_value(definition, raw_value)
    return values


def _restore_value(definition: Mapping[str, Any], raw: Any) -> Value:
    kind = definition["type"]
    value: Value | None
    if kind == "bool":
        value = _BOOLS.get(format_value(raw).lower())
    elif kind in ("discrete", "categorical"):
        value = _match_member(definition, raw)
    else:
        value = _match_range(definition, raw)
    if value is None:
        raise ValueError("invalid value {!r} for parameter {}".format(raw, definition["name"]))
    return value


def _match_member(definition: Mapping[str, Any], raw: Any) -> Value | None:
    members: Sequence[Value] = definition["values"]
    text, number = format_value(raw), _finite_number(raw)
    tests: list[Callable[[Value], bool]] = [
        lambda member: type(member) is type(raw) and member == raw,
        lambda member: format_value(member) == text,
        lambda member: number is not None and is_same_value(member, number),
    ]
    for test in tests:
        for member in members:
            if test(member):
                return member
    if number is None or definition["type"] == "categorical":
        return None
    numbers = [member for member in members if not isinstance(member, str)]
    nearest = min(numbers, key=lambda member: abs(member - number))
    return nearest if _is_close(number, nearest) else None


def _match_range(definition: Mapping[str, Any], raw: Any) -> Value | None:
    number = _finite_number(raw)
    if number is None:
        return None
    low, high = definition.get("min", number), definition.get("max", number)
    if definition["type"] == "int":
        valid = number == int(number) and low <= number <= high
        on_step = valid and not (int(number) - low) % definition.get("step", 1)
        return int(number) if on_step else None
    for bound in (low, high):
        if not low <= number <= high and _is_close(number, bound):
            number = bound
    if not low <= number <= high:
        return None
    value = float(number)
    return _match_grid(value, low, high, definition["step"]) if "step" in definition else value


def _match_grid(value: float, low: float, high: float, step: float) -> float | None:
    from decimal import Decimal

    first, last, distance = Decimal(repr(low)), Decimal(repr(high)), Decimal(repr(step))
    steps = (Decimal(repr(value)) - first) / distance
    nearest = round(steps)
    member = float(first + nearest * distance)
    is_off = member != value and abs(steps - nearest) > Decimal(repr(_TOLERANCE))
    return None if is_off or nearest > (last - first) / distance else member


def _finite_number(raw: Any) -> float | None:
    """Return a value or its text as a finite number, integers with all their digits."""
    if isinstance(raw, str):
        for parse in (int, float):
            try:
                return None if "_" in raw else _finite_number(parse(raw))
            except ValueError:
                pass
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    return raw if abs(raw) <= sys.float_info.max else None


def _is_close(number: float, value: float) -> bool:
    return abs(number - value) <= _TOLERANCE * abs(value)


def restore_constants(study: Json, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the constants, as the service sent them if it did, the resource, and `SEED`."""
    values: dict[str, Value] = {}
    for name, constant in study["constants"].items():
        values[name] = _convert(constant, name, raw[name]) if name in raw else constant
    for name in (study.get("resource") or "", SEED):
        if name in raw:
            values[name] = _convert(1, name, raw[name])
    return values


def _convert(constant: Value, name: str, raw: Any) -> Value:
    if isinstance(constant, str):
        return format_value(raw)
    value: Value | None = _finite_number(raw)
    if isinstance(constant, bool):
        value = _BOOLS.get(format_value(raw).lower())
    elif isinstance(constant, int) and isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(constant, float) and value is not None:
        value = float(value)
    if value is None:
        raise ValueError("invalid value {!r} for {}".format(raw, name))
    return value
