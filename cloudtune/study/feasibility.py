"""Assignments that keep the constraints between parameters, and how rare they are."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

from cloudtune.study.schema import FloatParameter, IntParameter
from cloudtune.study.search_space import (
    Assignment,
    Node,
    Space,
    Value,
    count_values,
    interpolate,
    is_active,
    match_value,
    value_at,
)

_MAX_DRAWS = 500
"""How many assignments are drawn from the whole space; a share of 1 % is found almost surely."""
_MAX_RESTARTS, _MAX_VALUES = 60, 20
"""How often a value after the other is chosen, and of how many values for each parameter."""
_MAX_LISTED = 1_000
"""Of a parameter with at most so many values, all are tried."""
_SHARE_DRAWS = 2_000

Draw = Callable[[Node, Random], Value]


def draw_allowed(
    space: Space, draw: Draw, rng: Random, given: Assignment | None = None
) -> dict[str, Value] | None:
    """Return a random assignment that keeps the constraints, or None if none was found.

    Each assignment that keeps them is as likely as without constraints, unless fewer than about one
    in 500 does: then each value is chosen such that the constraints can still hold.

    Args:
        space: The space.
        draw: Returns a random value of a definition.
        rng: The source of randomness.
        given: Values that are fixed.
    """
    given = given or {}
    for _ in range(_MAX_DRAWS if space.constraints else 1):
        assignment: dict[str, Value] = {}
        for node in space.nodes:
            if is_active(node, assignment):
                # Always draw, so that a given value does not change the values of the others.
                assignment[node.name] = _given(node, given, draw(node, rng))
        if space.allows(assignment):
            return assignment
    for _ in range(_MAX_RESTARTS):
        if (found := _draw_in_turn(space, draw, rng, given)) is not None:
            return found
    if space.constraints and space.size:
        fitting = [each for each in space.grid() if {**each, **given} == each]
        return rng.choice(fitting) if fitting else None
    return None


def can_complete(space: Space, given: Assignment) -> bool:
    """Return whether values can be completed such that the constraints hold."""
    return draw_allowed(space, draw_uniform, Random(0), given) is not None


def is_infeasible(space: Space) -> Literal["shown", "likely"] | None:
    """Return whether no assignment keeps the constraints, and whether that is certain."""
    if not space.may_allow({}, 0):
        return "shown"
    if can_complete(space, {}):
        return None
    return "likely" if space.size is None else "shown"


def allowed_share(space: Space) -> float:
    """Return about which share of all assignments keeps the constraints."""
    everything, rng = Space(space.nodes), Random(0)
    draws = (draw_allowed(everything, draw_uniform, rng) or {} for _ in range(_SHARE_DRAWS))
    return sum(map(space.allows, draws)) / _SHARE_DRAWS


def draw_uniform(node: Node, rng: Random) -> Value:
    """Return a random value of a definition: uniform on its scale, or among its values."""
    parameter = node.parameter
    if isinstance(parameter, FloatParameter | IntParameter):
        count = count_values(parameter)
        value = interpolate(parameter, rng.random())
        if count is None:
            return value
        index = round((value - parameter.min) / (parameter.step or 1))
        return value_at(parameter, min(index, count - 1))
    return value_at(parameter, rng.randrange(count_values(parameter) or 1))


def _given(node: Node, given: Assignment, otherwise: Value) -> Value:
    """Return the given value in the type of the definition, or another one if none is given."""
    value = given.get(node.name)
    if value is None:
        return otherwise
    match = match_value(node.parameter, value)
    return value if match is None else match


def _draw_in_turn(
    space: Space, draw: Draw, rng: Random, given: Assignment
) -> dict[str, Value] | None:
    known: dict[str, Value] = {}
    for depth, node in enumerate(space.nodes, start=1):
        if not is_active(node, known):
            continue
        count = count_values(node.parameter)
        if node.name in given:
            values = [_given(node, given, given[node.name])]
        else:
            values = [draw(node, rng) for _ in range(_MAX_VALUES)]
            if count is not None and count <= _MAX_LISTED:
                indices = rng.sample(range(count), count)
                values += [value_at(node.parameter, index) for index in indices]
        for value in values:
            if space.may_allow({**known, node.name: value}, depth):
                known[node.name] = value
                break
        else:
            return None
    return known
