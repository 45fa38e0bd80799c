"""One axis per parameter definition: how sampling, the unit cube and Optuna see its values.

Where values have an order, the axis keeps it. Of a continuum, a search uses a million and one
values, evenly spaced on its scale, with no more digits than tell them apart. The distribution of
`random` by kind and scale:

- a float without a step: uniform on its scale;
- an int, or a float with a step, on a linear scale: each value equally likely;
- the same on a log scale: log-uniform between half a step below the first value (at least half
  of it) and half a step above the last, then rounded to a value; `reverse_log` mirrors it;
- listed values (discrete, categorical, bool): each value equally likely, whatever the scale, since
  the author of a list chooses its spacing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from cloudtune.study.schema import BoolParameter, CategoricalParameter, FloatParameter, IntParameter
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    interpolate,
    is_same_value,
    resolve_scale,
    reverse_log_bounds,
    value_at,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Coordinate = float | int
"""Where a value is on its axis: a fraction from 0 to 1 on a continuum, else an index from 0."""

FRACTION_DIGITS = 6
"""The decimals of a fraction of a continuum."""
_SPACING = 10.0**-FRACTION_DIGITS
_MAX_LOG_OFFSET_RATIO = 2**40
"""How many times its length a grid may be away from 0 for its logarithms to be distinguishable."""


@dataclass(frozen=True)
class Axis:
    """The values of one parameter definition as coordinates."""

    node: Node

    @cached_property
    def count(self) -> int | None:
        """How many values there are; None for a continuum."""
        return count_values(self.node.parameter)

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value."""
        return self.count == 1

    def value(self, coordinate: Coordinate) -> Value:
        """Return the value at a coordinate, in the study's own type."""
        parameter = self.node.parameter
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return _value_at_fraction(parameter, float(coordinate))
        return value_at(parameter, min(max(int(coordinate), 0), self.count - 1))

    def coordinate(self, value: Value) -> Coordinate:
        """Return the coordinate of a value of this definition."""
        parameter = self.node.parameter
        if not isinstance(parameter, IntParameter | FloatParameter):
            members = self.node.values or ()
            return next(
                index for index, member in enumerate(members) if is_same_value(member, value)
            )
        assert not isinstance(value, str)
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return _fraction(parameter, float(value))
        if isinstance(parameter, IntParameter):
            return (int(value) - parameter.min) // (parameter.step or 1)
        if not parameter.step:
            return 0
        offset = Decimal(repr(value)) - Decimal(repr(parameter.min))
        return round(offset / Decimal(repr(parameter.step)))

    def from_uniform(self, u: float) -> Value:
        """Map a uniform number from 0 to 1 to a value with the distribution of `random`."""
        if self.count is None:
            return self.value(u)
        if self.log_offset is None:
            return self.value(int(u * self.count))
        low = max(self.log_offset - 0.5, self.log_offset / 2)
        high = self.log_offset + self.count - 0.5
        step = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        return self.from_optuna(round(step))

    def sample(self, rng: Random) -> Value:
        """Return a random value."""
        if self.count is not None and self.log_offset is None:
            return self.value(rng.randrange(self.count))
        return self.from_uniform(rng.random())

    @cached_property
    def is_reversed(self) -> bool:
        """Whether the log scale runs down from the last value."""
        parameter = self.node.parameter
        return (
            isinstance(parameter, IntParameter | FloatParameter)
            and resolve_scale(parameter) == "reverse_log"
        )

    @cached_property
    def log_offset(self) -> int | None:
        """The first value of a grid on a log scale in steps: index k is at log(k + offset).

        None for other grids, and for one so far from 0 that its log scale is practically linear.
        """
        parameter = self.node.parameter
        if self.count is None or not isinstance(parameter, IntParameter | FloatParameter):
            return None
        first = float(parameter.min) if isinstance(parameter, FloatParameter) else parameter.min
        if resolve_scale(parameter) not in {"log", "reverse_log"}:
            return None
        if first <= 0:
            first = reverse_log_bounds(parameter.min, parameter.max)[0]
        step = parameter.step or 1
        if isinstance(first, int) and isinstance(step, int):
            offset = max(1, (first + step // 2) // step)
        else:
            offset = max(1, round(first / step))
        return offset if offset <= _MAX_LOG_OFFSET_RATIO * self.count else None

    def optuna_distribution(self) -> BaseDistribution:
        """Return the Optuna distribution that represents this axis."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.count is None:
            return FloatDistribution(0.0, 1.0)
        if isinstance(self.node.parameter, CategoricalParameter | BoolParameter):
            return CategoricalDistribution(tuple(range(self.count)))
        if self.log_offset is not None:
            return IntDistribution(self.log_offset, self.log_offset + self.count - 1, log=True)
        return IntDistribution(0, self.count - 1)

    def to_optuna(self, value: Value) -> Coordinate:
        """Return the representation of a value in the Optuna distribution."""
        coordinate = self.coordinate(value)
        if self.log_offset is None or self.count is None:
            return coordinate
        return self.log_offset + (self.count - 1 - coordinate if self.is_reversed else coordinate)

    def from_optuna(self, suggestion: Coordinate) -> Value:
        """Return the value that a number of the Optuna distribution represents."""
        if self.log_offset is None or self.count is None:
            return self.value(suggestion)
        index = int(suggestion) - self.log_offset
        return self.value(self.count - 1 - index if self.is_reversed else index)


def build_axes(space: Space) -> tuple[Axis, ...]:
    """Return one axis per definition, in the order of the space."""
    return tuple(Axis(node) for node in space.nodes)


def _value_at_fraction(parameter: FloatParameter, fraction: float) -> float:
    """Return the value at a rounded fraction, with the digits that tell it from its neighbors."""
    low, high = float(parameter.min), float(parameter.max)
    fraction = round(min(max(fraction, 0.0), 1.0), FRACTION_DIGITS)
    if fraction in {0.0, 1.0}:
        return high if fraction else low
    value = interpolate(parameter, fraction)
    before, after = (interpolate(parameter, fraction + d * _SPACING) for d in (-0.5, 0.5))
    if not after > before:  # the bounds are adjacent numbers, or almost
        return value
    # The summand makes the number of digits independent of rounding errors in the difference.
    exponent = math.floor(math.log10(after - before) + 1e-6)
    rounded = float(round(Decimal(value), -exponent))
    return min(max(rounded, low), high) + 0.0  # not -0.0


def _fraction(parameter: FloatParameter, value: float) -> float:
    low, high = float(parameter.min), float(parameter.max)
    match resolve_scale(parameter):
        case "log":
            fraction = _log_fraction(value, low, high)
        case "reverse_log":
            near, far = reverse_log_bounds(low, high)
            fraction = 1 - _log_fraction(high - value + near, near, far)
        case _:
            # Halve all terms where the range overflows.
            factor = 0.5 if math.isinf(high - low) else 1.0
            fraction = (value * factor - low * factor) / (high * factor - low * factor)
    return min(max(fraction, 0.0), 1.0)


def _log_fraction(value: float, low: float, high: float) -> float:
    # Subtract logarithms: a quotient could overflow.
    span = math.log(high) - math.log(low)
    return (math.log(value) - math.log(low)) / span if span else 0.0
