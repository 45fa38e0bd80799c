"""One axis a definition of a parameter: how chance, a cube and Optuna see its values.

Where values have an order, it is kept. How likely each value is under `random`, by kind and scale:

- a float without a step: uniform on its scale;
- an int, or a float with a step, on a linear scale: every value alike;
- the same on a log scale: log-uniform between half a step below the first value (never below half
  of it) and half a step above the last, then rounded to a value; `reverse_log` mirrors it;
- listed values (discrete, categorical, bool): every value alike, whatever the scale, since a list
  is already spread as its author wants it.
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
    list_values,
    resolve_scale,
    reverse_log_bounds,
    value_at,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Coordinate = float | int
"""Where a value lies on its axis: a share of the way on a continuum, else a place in the order."""


_MAX_LOG_OFFSET_RATIO = 2**40
"""How many times its length a grid may lie away from 0, for its logarithms to be told apart."""


@dataclass(frozen=True)
class Axis:
    """The values of one node as places: from 0 to 1 on a continuum, else its number, from 0."""

    node: Node

    @cached_property
    def count(self) -> int | None:
        """How many values there are; None for a continuum."""
        return count_values(self.node.parameter)

    @property
    def fixed(self) -> bool:
        """Whether there is only one value."""
        return self.count == 1

    def value(self, place: Coordinate) -> Value:
        """Return the value at a place, in the study's own type."""
        parameter = self.node.parameter
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return interpolate(parameter, float(place))
        return value_at(parameter, min(max(int(place), 0), self.count - 1))

    def place(self, value: Value) -> Coordinate:
        """Return the place of a value that the node has."""
        parameter = self.node.parameter
        if not isinstance(parameter, IntParameter | FloatParameter):
            members = list_values(parameter) or ()
            return next(
                place for place, member in enumerate(members) if is_same_value(member, value)
            )
        assert not isinstance(value, str)
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return _fraction(parameter, float(value))
        if isinstance(parameter, IntParameter):
            return (int(value) - parameter.min) // (parameter.step or 1)
        if not parameter.step:
            return 0
        way = Decimal(repr(value)) - Decimal(repr(parameter.min))
        return round(way / Decimal(repr(parameter.step)))

    def at(self, share: float) -> Value:
        """Return the value at a share (0 to 1) of an even spread over what is likely."""
        if self.count is None:
            return self.value(share)
        if self.log_from is None:
            return self.value(int(share * self.count))
        low, high = max(self.log_from - 0.5, self.log_from / 2), self.log_from + self.count - 0.5
        drawn = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        place = min(max(round(drawn) - self.log_from, 0), self.count - 1)
        return self.value(self.count - 1 - place if self.reversed else place)

    def draw(self, random: Random) -> Value:
        """Return a value by chance."""
        if self.count is not None and self.log_from is None:
            return self.value(random.randrange(self.count))
        return self.at(random.random())

    @cached_property
    def reversed(self) -> bool:
        """Whether the log scale runs down from the last value."""
        parameter = self.node.parameter
        return (
            isinstance(parameter, IntParameter | FloatParameter)
            and resolve_scale(parameter) == "reverse_log"
        )

    @cached_property
    def log_from(self) -> int | None:
        """For a grid on a log scale its first value in steps: place k lies at log(k + it).

        None for other grids, and for one so far from 0 that its log scale is a linear one.
        """
        parameter = self.node.parameter
        if self.count is None or not isinstance(parameter, IntParameter | FloatParameter):
            return None
        first = float(parameter.min) if isinstance(parameter, FloatParameter) else parameter.min
        match resolve_scale(parameter):
            case "log":
                pass
            case "reverse_log":
                first = first if first > 0 else reverse_log_bounds(parameter.min, parameter.max)[0]
            case _:
                return None
        step = parameter.step or 1
        if isinstance(first, int) and isinstance(step, int):
            steps = max(1, (first + step // 2) // step)
        else:
            steps = max(1, round(first / step))
        return steps if steps <= _MAX_LOG_OFFSET_RATIO * self.count else None

    def distribution(self) -> BaseDistribution:
        """Return what Optuna searches in place of this axis."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.count is None:
            return FloatDistribution(0.0, 1.0)
        if isinstance(self.node.parameter, CategoricalParameter | BoolParameter):
            return CategoricalDistribution(tuple(range(self.count)))
        if self.log_from is not None:
            return IntDistribution(self.log_from, self.log_from + self.count - 1, log=True)
        return IntDistribution(0, self.count - 1)

    def to_optuna(self, value: Value) -> Coordinate:
        """Return how Optuna knows a value."""
        place = self.place(value)
        if self.log_from is None or self.count is None:
            return place
        return self.log_from + (self.count - 1 - place if self.reversed else place)

    def from_optuna(self, known: Coordinate) -> Value:
        """Return the value that Optuna knows so."""
        if self.log_from is None or self.count is None:
            return self.value(known)
        place = int(known) - self.log_from
        return self.value(self.count - 1 - place if self.reversed else place)


def build_axes(space: Space) -> tuple[Axis, ...]:
    """Return one axis a node, in the order of the space."""
    return tuple(Axis(node) for node in space.nodes)


def _fraction(parameter: FloatParameter, value: float) -> float:
    low, high = float(parameter.min), float(parameter.max)
    match resolve_scale(parameter):
        case "log":
            share = _log_fraction(value, low, high)
        case "reverse_log":
            near, far = reverse_log_bounds(low, high)
            share = 1 - _log_fraction(high - value + near, near, far)
        case _:
            # Half of each, where the whole range is beyond the largest number.
            part = 0.5 if math.isinf(high - low) else 1.0
            share = (value * part - low * part) / (high * part - low * part)
    return min(max(share, 0.0), 1.0)


def _log_fraction(value: float, low: float, high: float) -> float:
    # Not the logarithm of a quotient, which may be beyond the largest number.
    span = math.log(high) - math.log(low)
    return (math.log(value) - math.log(low)) / span if span else 0.0
