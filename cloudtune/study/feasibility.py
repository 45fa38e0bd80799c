"""Assignments that keep the constraints between parameters, and how rare they are."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

from cloudtune.study.narrowing import Ranges
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
    value_range,
)
from cloudtune.study.value_ranges import MAX_LISTED, narrow_ranges, split_range

_MAX_DRAWS = 500
"""How many assignments are drawn from the whole space; a share of 1 % is found almost surely."""
_DRAW_STEPS = (50, 200, 1_000)
"""After how many steps each search of a draw starts again with other values."""
_MAX_STEPS = 30_000
"""Of the search that decides whether an assignment can be found."""
_SHARE_DRAWS = 2_000

Draw = Callable[[Node, Random], Value]
_Found = dict[str, Value] | Literal["infeasible", "unknown"]


def draw_allowed(
    space: Space, draw: Draw, rng: Random, given: Assignment | None = None
) -> dict[str, Value] | None:
    """Return a random assignment that keeps the constraints, or None if none was found.

    Each assignment that keeps them is as likely as without constraints, unless fewer than about one
    in 500 does: then each value is chosen such that the constraints can still hold. An assignment
    is always found if `can_complete` is true.

    Args:
        space: The space.
        draw: Returns a random value of a definition.
        rng: The source of randomness.
        given: Values that are fixed.
    """
    given = given or {}
    if assignment := _draw_until_allowed(space, draw, rng, given):
        return assignment
    for steps in _DRAW_STEPS:
        found = _search(space, rng, given, steps)
        if found != "unknown":
            return None if found == "infeasible" else found
    found = _first_allowed(space, given)
    return None if isinstance(found, str) else found


def can_complete(space: Space, given: Assignment) -> bool:
    """Return whether values can be completed such that the constraints hold."""
    return not isinstance(_first_allowed(space, given), str)


def is_infeasible(space: Space) -> Literal["shown", "likely"] | None:
    """Return whether no assignment keeps the constraints, and whether that is certain."""
    found = _first_allowed(space, {})
    if isinstance(found, str):
        return "shown" if found == "infeasible" else "likely"
    return None


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


def _first_allowed(space: Space, given: Assignment) -> _Found:
    """Return the same assignment each time, or why there is none."""
    rng = Random(0)
    assignment = _draw_until_allowed(space, draw_uniform, rng, given)
    return assignment or _search(space, rng, given, _MAX_STEPS)


def _draw_until_allowed(
    space: Space, draw: Draw, rng: Random, given: Assignment
) -> dict[str, Value] | None:
    for _ in range(_MAX_DRAWS if space.constraints else 1):
        assignment: dict[str, Value] = {}
        for node in space.nodes:
            if is_active(node, assignment):
                # Always draw, so that a given value does not change the values of the others.
                assignment[node.name] = _given(node, given, draw(node, rng))
        if space.allows(assignment):
            return assignment
    return None


def _precedence(space: Space) -> Callable[[Node], int]:
    """Return a key that sorts the parameters by when to choose them.

    Those come first that decide whether others can keep the constraints, and of them those with few
    values: ranges are narrowed by one value, not by several alternatives.
    """
    used = {name for constraint in space.constraints for name in constraint.names}
    for node in reversed(space.nodes):
        if node.name in used:
            used.update(node.when)

    def precedence(node: Node) -> int:
        count = count_values(node.parameter)
        return (node.name not in used) * 2 + (count is None or count > MAX_LISTED)

    return precedence


def _search(space: Space, rng: Random, given: Assignment, max_steps: int) -> _Found:
    """Choose values in random order, depth first, and narrow the ranges of the others each time."""
    order = sorted(rng.sample(space.nodes, len(space.nodes)), key=_precedence(space))
    is_complete = True
    stack: list[tuple[dict[str, Value], Ranges]] = [({}, {})]
    for _ in range(max_steps):
        if not stack:
            return "infeasible" if is_complete else "unknown"
        known, ranges = stack.pop()
        active: dict[str, Node] = {}
        for node in order:
            if is_active(node, known):
                active[node.name] = node
                ranges.setdefault(node.name, value_range(node.parameter))
                if node.name in given and node.name not in known:
                    known[node.name] = value = _given(node, given, given[node.name])
                    ranges[node.name] = value, value
        narrowed = narrow_ranges(space.constraints, active, known, ranges)
        if narrowed is None:
            continue
        undecided = next((node for node in active.values() if node.name not in known), None)
        if undecided is None:
            return {node.name: known[node.name] for node in space.nodes if node.name in known}
        name = undecided.name
        pairs, has_all = split_range(undecided.parameter, narrowed[name], rng)
        is_complete = is_complete and has_all
        for low, high in pairs:
            chosen = {name: low} if low == high else {}
            stack.append(({**known, **chosen}, {**narrowed, name: (low, high)}))
    return "unknown"
