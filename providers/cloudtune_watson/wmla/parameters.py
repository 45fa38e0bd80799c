"""The parameters of a search in WML Accelerator's spelling.

CLIENT in `cloudtune_watson.capabilities` describes the fields; the misspelled names are IBM's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudtune.provider import (
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Value,
    count_values,
    format_value,
    interpolate,
    list_values,
)
from cloudtune_watson.wmla.native.names import LISTS

BASE = 10
"""The base of the exponents of a log range."""
MAX_LISTED_VALUES = 1_000
"""Values of one parameter that a request lists instead of a range."""
_MAX_LOG_SPACED_VALUES = 20


def hyper_param(name: str, parameter: Parameter) -> Json:
    """Return a parameter as an entry of ``hyperParams``."""
    kind = data_type(parameter)
    values = listed_values(parameter)
    if values is None and isinstance(parameter, FloatParameter | IntParameter):
        return {"name": name, "type": "Range", "dataType": kind, **_range(parameter)}
    values = list_values(parameter) or () if values is None else values
    sent = [to_wire(value, kind) for value in values]
    return {"name": name, "type": "Discrete", "dataType": kind, LISTS[kind]: sent}


def data_type(parameter: Parameter) -> str:
    """Return WML Accelerator's type of a parameter's values."""
    match parameter:
        case IntParameter():
            return "INT"
        case FloatParameter():
            return "DOUBLE"
        case DiscreteParameter():
            whole = all(isinstance(value, int) for value in parameter.values)
            return "INT" if whole else "DOUBLE"
        case _:
            return "STR"


def value_type(value: Value) -> str:
    """Return WML Accelerator's type of a value without a definition."""
    if isinstance(value, float):
        return "DOUBLE"
    return "INT" if isinstance(value, int) and not isinstance(value, bool) else "STR"


def to_wire(value: Value, kind: str) -> Value:
    """Return a value as a request has it, where all values of the type ``STR`` are text."""
    return format_value(value) if kind == "STR" else value


def listed_values(parameter: Parameter) -> Sequence[Value] | None:
    """Return the values that replace a range, or None if the range can be sent.

    For an int, WML Accelerator has only whole exponents, and on a log scale it applies a step to
    the exponents. Empty if there are more than MAX_LISTED_VALUES.
    """
    if not isinstance(parameter, FloatParameter | IntParameter) or parameter.scale != "log":
        return None
    if isinstance(parameter, IntParameter) and parameter.step in (None, 1):
        return log_spaced_values(parameter)
    if parameter.step is None:
        return None
    count = count_values(parameter) or 0
    return list_values(parameter) if count <= MAX_LISTED_VALUES else ()


def log_spaced_values(parameter: IntParameter) -> list[int]:
    """Return at most 20 distinct whole numbers from min to max, about evenly spaced on a log scale.

    Example:
        >>> log_spaced_values(IntParameter(type="int", min=4, max=16, scale="log"))
        [4, 5, 6, 8, 10, 13, 16]
    """
    low, high = parameter.min, parameter.max
    smallest_factor = math.log1p(1 / low)
    count = min(int(math.log(high / low) / smallest_factor) + 1, _MAX_LOG_SPACED_VALUES)
    count = max(count, 2)
    return sorted({round(interpolate(parameter, index / (count - 1))) for index in range(count)})


def uses_exponents(parameter: Parameter) -> bool:
    """Return whether the bounds of a range are sent as exponents, which must differ."""
    return (
        isinstance(parameter, FloatParameter)
        and parameter.scale == "log"
        and parameter.step is None
        and exponent(parameter.min) < exponent(parameter.max)
    )


def exponent(value: float) -> float:
    """Return the base-10 logarithm of a number, which is exact for whole powers."""
    whole = round(math.log10(value))
    return float(whole) if float(f"1e{whole}") == value else math.log10(value)


def _range(parameter: FloatParameter | IntParameter) -> Json:
    fields: Json
    if isinstance(parameter, IntParameter):
        fields = {"minIntVal": parameter.min, "maxIntVal": parameter.max}
    elif uses_exponents(parameter):
        fields = {"minDbVal": exponent(parameter.min), "maxDbVal": exponent(parameter.max)}
        fields["power"] = str(BASE)
    else:
        fields = {"minDbVal": float(parameter.min), "maxDbVal": float(parameter.max)}
    if parameter.step and not (isinstance(parameter, IntParameter) and parameter.step == 1):
        fields["step"] = format_value(parameter.step)
    return fields
