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
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from cloudtune.space import (
    Node,
    Space,
    Value,
    count_of,
    mirrored,
    resolved_scale,
    same,
    spread,
    value_at,
    values_of,
)
from cloudtune.study import (
    BoolParameter,
    CategoricalParameter,
    FloatParameter,
    IntParameter,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Place = float | int
"""Where a value lies on its axis: a share of the way on a continuum, else a place in the order."""


@dataclass(frozen=True)
class Axis:
    """The values of one node as places: from 0 to 1 on a continuum, else its number, from 0."""

    node: Node

    @cached_property
    def count(self) -> int | None:
        """How many values there are; None for a continuum."""
        return count_of(self.node.parameter)

    @property
    def fixed(self) -> bool:
        """Whether there is only one value."""
        return self.count == 1

    def value(self, place: Place) -> Value:
        """Return the value at a place, in the study's own type."""
        parameter = self.node.parameter
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return spread(parameter, float(place))
        return value_at(parameter, min(max(int(place), 0), self.count - 1))

    def place(self, value: Value) -> Place:
        """Return the place of a value that the node has."""
        parameter = self.node.parameter
        if not isinstance(parameter, IntParameter | FloatParameter):
            members = values_of(parameter) or ()
            return next(place for place, member in enumerate(members) if same(member, value))
        assert not isinstance(value, str)
        if self.count is None:
            assert isinstance(parameter, FloatParameter)
            return _share(parameter, float(value))
        if isinstance(parameter, IntParameter):
            return (int(value) - parameter.min) // (parameter.step or 1)
        return round((value - parameter.min) / parameter.step) if parameter.step else 0

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
            and resolved_scale(parameter) == "reverse_log"
        )

    @cached_property
    def log_from(self) -> int | None:
        """For a grid on a log scale its first value in steps: place k lies at log(k + it)."""
        parameter = self.node.parameter
        if self.count is None or not isinstance(parameter, IntParameter | FloatParameter):
            return None
        first = float(parameter.min) if isinstance(parameter, FloatParameter) else parameter.min
        match resolved_scale(parameter):
            case "log":
                pass
            case "reverse_log":
                first = first if first > 0 else mirrored(parameter.min, parameter.max)[0]
            case _:
                return None
        step = parameter.step or 1
        if isinstance(first, int) and isinstance(step, int):
            return max(1, (first + step // 2) // step)
        return max(1, round(first / step))

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

    def to_optuna(self, value: Value) -> Place:
        """Return how Optuna knows a value."""
        place = self.place(value)
        if self.log_from is None or self.count is None:
            return place
        return self.log_from + (self.count - 1 - place if self.reversed else place)

    def from_optuna(self, known: Place) -> Value:
        """Return the value that Optuna knows so."""
        if self.log_from is None or self.count is None:
            return self.value(known)
        place = int(known) - self.log_from
        return self.value(self.count - 1 - place if self.reversed else place)


def axes_of(space: Space) -> tuple[Axis, ...]:
    """Return one axis a node, in the order of the space."""
    return tuple(Axis(node) for node in space.nodes)


def _share(parameter: FloatParameter, value: float) -> float:
    low, high = float(parameter.min), float(parameter.max)
    match resolved_scale(parameter):
        case "log":
            share = math.log(value / low) / math.log(high / low)
        case "reverse_log":
            near, far = mirrored(low, high)
            share = 1 - math.log((high - value + near) / near) / math.log(far / near)
        case _:
            share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return min(max(share, 0.0), 1.0)
