"""Ranges of formats whose bounds are exponents of a base."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cloudtune.formats.values import parse_number
from cloudtune.study.schema import IntParameter
from cloudtune.study.search_space import count_values, list_values

if TYPE_CHECKING:
    from cloudtune.formats.fields import Fields, Json, Report
    from cloudtune.study.schema import FloatParameter

MAX_LISTED = 1_000
"""The values of a grid of exponents that are listed at most."""
MAX_SPACED = 20
"""The values of a log scale that has no whole exponents."""
BASES = (10, 2)
"""The bases of ranges that are written, the preferred one first."""


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
        first, last = _power(base, low), _power(base, high)
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
    values = [_power(base, low + index * distance) for index in range(int(count))]
    if not 0 < values[0] <= values[-1] < math.inf:
        fields.mistake(key, f"the exponents {low} to {high} are not those of numbers")
        return None
    numbers: list[int | float] = list(dict.fromkeys(values))
    if all(number == int(number) for number in numbers):
        numbers = [int(number) for number in numbers]
    if len(numbers) > 1:
        fields.note(key, f"the bounds are exponents of {text}, so the study lists the values")
    return {"type": "discrete", "values": numbers, "scale": "log"}


def write_power(low: float, high: float) -> tuple[int, float, float] | None:
    """Return a base, and the exponents of two bounds that differ; None if they are not above 0."""
    if low <= 0 or high <= low:
        return None
    for base in BASES:
        exponents = _exponent(low, base), _exponent(high, base)
        if all(exponent == int(exponent) for exponent in exponents):
            return base, *exponents
    exponents = _exponent(low, BASES[0]), _exponent(high, BASES[0])
    return (BASES[0], *exponents) if exponents[0] < exponents[1] else None


def list_log_values(
    path: str, parameter: FloatParameter | IntParameter, report: Report
) -> list[int | float]:
    """Return values of a range on a log scale, for a format that has only exponents for it.

    They are those of the step, or else at most 20 that are evenly spaced.
    """
    if parameter.step is not None and (count_values(parameter) or 0) <= MAX_LISTED:
        values: list[Any] = list(list_values(parameter) or ())
    else:
        low, factor = parameter.min, parameter.max / parameter.min
        spaced = (low * factor ** (index / (MAX_SPACED - 1)) for index in range(MAX_SPACED))
        whole = isinstance(parameter, IntParameter)
        values = sorted({round(value) if whole else value for value in spaced})
    text = f"on a log scale only exponents are possible: {len(values)} values are listed"
    report.approximate(f"{path}.scale", text)
    return values


def _power(base: float, exponent: float) -> float:
    """Return a power without the error of its last digits."""
    try:
        return float(f"{math.pow(base, exponent):.13g}")
    except OverflowError:
        return math.inf


def _exponent(value: float, base: int) -> float:
    exponent = math.log(value, base)
    whole = round(exponent)
    return float(whole) if _power(base, whole) == value else exponent
