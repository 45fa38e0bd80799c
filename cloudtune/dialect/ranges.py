"""Ranges of tools: exponents of a base, and lists in place of a range. The one place for both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from cloudtune.fitting.capabilities import Adjustment, ParameterType
from cloudtune.fitting.parameters import MAX_LISTED
from cloudtune.study.map_values import unfold_values
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    Scale,
)
from cloudtune.study.search_space import (
    count_values,
    format_value,
    interpolate,
    list_values,
    resolve_scale,
    value_at,
)

LINEAR_AND_LOG: frozenset[Scale] = frozenset({"linear", "log"})
"""The scales of most tools."""
RANGES_AND_CHOICES: Mapping[ParameterType, frozenset[Scale]] = {
    "float": LINEAR_AND_LOG,
    "int": LINEAR_AND_LOG,
    "categorical": frozenset(),
    "bool": frozenset(),
}
"""The parameters of most tools."""
BASES = (10, 2)
"""The bases of ranges that are written, the preferred one first."""
_MAX_SPACED = 20
"""The values of a log scale that is written as a list."""
_MAX_SHOWN = 12
"""The values of a list that a message has."""
_MAX_EXPONENT = 700
"""Of e: a larger one is no floating-point number."""
_SHORT = 10
"""The digits of a number that someone wrote by hand, at most."""


def exponential(exponent: float, base: float = math.e) -> float | None:
    """Return a base to a power, in few digits if that is what was meant; None if it has no value.

    >>> exponential(-9.210340371976182), exponential(0), exponential(-3, 10)
    (0.0001, 1.0, 0.001)
    """
    if abs(exponent) * abs(math.log(base)) > _MAX_EXPONENT:
        return None
    return _shorten(math.exp(exponent) if base == math.e else base**exponent)


def logarithm(value: float, base: float = math.e) -> float:
    """Return a logarithm, in few digits if these are as exact.

    >>> logarithm(0.0024787521766663585), logarithm(1000, 10)
    (-6.0, 3.0)
    """
    exponent = math.log(value) if base == math.e else math.log(value, base)
    short = _shorten(exponent)
    return short if exponential(short, base) == value else exponent


def _shorten(number: float) -> float:
    short = float(f"{number:.12g}")
    return short if len(repr(short)) <= _SHORT else number


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


def list_log_values(parameter: FloatParameter | IntParameter) -> list[int | float]:
    """Return values of a range on a log scale, for a tool that has only exponents for it.

    They are those of the step, if there are at most 1,000, or else at most 20 that are about evenly
    spaced.

    Example:
        >>> list_log_values(IntParameter(type="int", min=4, max=16, scale="log"))
        [4, 5, 6, 8, 10, 13, 16]
    """
    is_stepped = parameter.step is not None and (
        parameter.step != 1 or isinstance(parameter, FloatParameter)
    )
    total = count_values(parameter) or 0
    if is_stepped and total <= MAX_LISTED:
        return [value for value in list_values(parameter) or () if not isinstance(value, str)]
    logarithmic = parameter.model_copy(update={"scale": "log", "step": None})
    count = _MAX_SPACED
    if isinstance(parameter, IntParameter) and parameter.min < parameter.max:
        smallest_factor = math.log1p(1 / parameter.min)
        steps = math.log(parameter.max / parameter.min) / smallest_factor
        count = max(min(int(steps) + 1, _MAX_SPACED), 2)
    values = [interpolate(logarithmic, index / (count - 1)) for index in range(count)]
    if is_stepped and parameter.step is not None:
        first, step = parameter.min, parameter.step
        positions = sorted({round((each - first) / step) for each in values})
        listed = (value_at(parameter, min(each, total - 1)) for each in positions)
        return [value for value in listed if not isinstance(value, str)]
    return sorted({round(each) if isinstance(parameter, IntParameter) else each for each in values})


def list_log_scale(parameter: Parameter, title: str) -> Adjustment | None:
    """Return the values of a range on a log scale, for a tool that has only exponents for it.

    A float without a step has exponents, unless its bounds are equal or not above 0.
    """
    if not isinstance(parameter, FloatParameter | IntParameter) or parameter.min == parameter.max:
        return None
    if resolve_scale(parameter) != "log":
        return None
    is_float = isinstance(parameter, FloatParameter) and parameter.step is None
    if is_float and write_power(parameter.min, parameter.max) is not None:
        return None
    values = list_log_values(parameter)
    shown = f"a list of {len(values)} values"
    if len(values) <= _MAX_SHOWN:
        shown = f"the list {', '.join(map(format_value, values))}"
    reason = f"{title} has only exponents for a log scale: the range becomes {shown}"
    listed = DiscreteParameter(type="discrete", values=values, when=parameter.when)
    kind: Literal["note", "approximated"] = "note" if parameter.scale == "auto" else "approximated"
    return Adjustment(kind, "scale", reason, listed)


def choice_values(parameter: Parameter) -> list[Any]:
    """Return the values of a choice, maps as maps; those of a boolean start with true."""
    if isinstance(parameter, CategoricalParameter):
        return unfold_values(parameter.values)
    if isinstance(parameter, BoolParameter):
        return [True, False]
    return list(list_values(parameter) or ())


def choose_one(parameter: Parameter) -> Adjustment | None:
    """Return a choice for a range of one value, for a tool that refuses such a range."""
    if not isinstance(parameter, FloatParameter | IntParameter) or count_values(parameter) != 1:
        return None
    one = CategoricalParameter(type="categorical", values=[parameter.min], when=parameter.when)
    return Adjustment("note", "", "has one value, so it is written as a choice", one)


def separate_values(parameter: Parameter, title: str) -> Adjustment | None:
    """Return a choice as text if some of its values are equal to a tool, such as 1 and True."""
    if not isinstance(parameter, CategoricalParameter):
        return None
    if len(set(parameter.values)) == len(parameter.values):
        return None
    values = [*map(format_value, parameter.values)]
    if len(set(values)) < len(values):
        reason = f"some values are equal to {title}, and are also equal as text"
        return Adjustment("refused", "values", reason, parameter)
    reason = f"some values are equal to {title}, so all are written as text"
    return Adjustment("approximated", "", reason, parameter.model_copy(update={"values": values}))


def power(base: float, exponent: float) -> float:
    """Return a power without the error of its last digits, infinite if it is too large."""
    try:
        return float(f"{math.pow(base, exponent):.13g}")
    except OverflowError:
        return math.inf


def _exponent(value: float, base: int) -> float:
    exponent = math.log10(value) if base == BASES[0] else math.log2(value)
    whole = round(exponent)
    return float(whole) if power(base, whole) == value else exponent
