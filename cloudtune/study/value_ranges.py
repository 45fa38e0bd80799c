"""Ranges of the values of parameters: narrowed by constraints, and split to search them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from cloudtune.study.constraints import Constraint
from cloudtune.study.expressions import Range
from cloudtune.study.narrowing import Ranges
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import (
    Assignment,
    Node,
    count_values,
    indices_between,
    interpolate,
    value_at,
)

MAX_LISTED = 64
"""All values of a range with at most so many are tried; a larger one is split."""
_MAX_ROUNDS = 10
"""How often the constraints narrow the ranges in turn."""
_LEAST_WIDTH = 1e-14
"""Relative width at which a range of floats is not split any more."""
_Pair: TypeAlias = tuple[Any, Any]


def narrow_ranges(
    constraints: Sequence[Constraint],
    active: Mapping[str, Node],
    known: Assignment,
    ranges: Ranges,
) -> Ranges | None:
    """Return narrower ranges of the active parameters, or None if a constraint cannot hold.

    Args:
        constraints: The constraints. One with another parameter, which may be inactive, is ignored.
        active: The active definition of each parameter.
        known: The values that are fixed.
        ranges: A range for each active parameter.
    """
    undecided: list[Constraint] = []
    for constraint in constraints:
        if constraint.names <= known.keys():
            if not constraint.holds(known):
                return None
        elif constraint.names <= active.keys():
            undecided.append(constraint)
    for _ in range(_MAX_ROUNDS):
        before = ranges
        for constraint in undecided:
            narrowed = constraint.narrow(ranges)
            if narrowed is None:
                return None
            for name in constraint.names:
                pair = narrowed[name]
                if pair is not None and pair != ranges[name]:
                    values = _values_between(active[name].parameter, pair)
                    if values is None:
                        return None
                    narrowed[name] = values
            ranges = narrowed
        if ranges == before:
            break
    return ranges


def split_range(parameter: Parameter, pair: Range, rng: Random) -> tuple[list[_Pair], bool]:
    """Return ranges in random order, the last a single value, and whether no value is lost.

    Args:
        parameter: The definition.
        pair: The range to split; None for all values.
        rng: The source of randomness.
    """
    count = count_values(parameter)
    if pair is None or isinstance(parameter, BoolParameter | CategoricalParameter):
        values = [value_at(parameter, index) for index in rng.sample(range(count or 0), count or 0)]
        return [(v, v) for v in values if pair is None or pair[0] <= v <= pair[1]], True
    low, high = pair
    if count is None:
        if high - low <= _LEAST_WIDTH * max(abs(low), abs(high)):
            return [(low, low), (high, high)], low == high
        value: Any = _between(parameter, low, high, rng)
        sides: list[_Pair] = [(low, value), (value, high)]
    else:
        indices = indices_between(parameter, pair)
        if len(indices) <= MAX_LISTED:
            values = [value_at(parameter, index) for index in indices]
            return [(v, v) for v in rng.sample(values, len(values))], True
        index = indices_between(parameter, (_between(parameter, low, high, rng), high)).start
        value = value_at(parameter, index)
        sides = []
        if indices.start < index:
            sides.append((low, value_at(parameter, index - 1)))
        if index < indices[-1]:
            sides.append((value_at(parameter, index + 1), high))
    return [*rng.sample(sides, len(sides)), (value, value)], True


def _between(parameter: Parameter, low: Any, high: Any, rng: Random) -> float:
    """Return a random number in a range, on the scale of the parameter."""
    if isinstance(parameter, FloatParameter | IntParameter):
        part = parameter.model_copy(update={"min": low, "max": high})
        return interpolate(part, rng.random())
    return float(low + rng.random() * (high - low))


def _values_between(parameter: Parameter, pair: _Pair) -> _Pair | None:
    """Return the first and the last value in a range, or None if it has none."""
    count = count_values(parameter)
    if count is None or isinstance(parameter, BoolParameter | CategoricalParameter):
        return pair  # has no gaps, or no order
    indices = indices_between(parameter, pair)
    return (value_at(parameter, indices[0]), value_at(parameter, indices[-1])) if indices else None
