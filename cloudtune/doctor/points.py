"""Points of a search space at which the doctor starts a script."""

from __future__ import annotations

from random import Random

from cloudtune.study.feasibility import draw_allowed, draw_uniform
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    interpolate,
    is_active,
    value_at,
)


def point(space: Space, fraction: float) -> dict[str, Value]:
    """Return the assignment at a fraction (0 to 1) of the values of each active parameter.

    If it breaks a constraint, it is another one that keeps all of them.
    """
    assignment: dict[str, Value] = {}
    for node in space.nodes:
        if is_active(node, assignment):
            assignment[node.name] = _value(node, fraction)
    if space.allows(assignment):
        return assignment
    rng = Random(str(fraction))  # noqa: S311 - the same each time
    return draw_allowed(space, draw_uniform, rng) or assignment


def varied_point(space: Space, name: str, fraction: float, other: float) -> dict[str, Value]:
    """Return the assignment at a fraction, with one parameter at another one."""
    assignment: dict[str, Value] = {}
    for node in space.nodes:
        if is_active(node, assignment):
            assignment[node.name] = _value(node, other if node.name == name else fraction)
    return assignment


def _value(node: Node, fraction: float) -> Value:
    count, parameter = count_values(node.parameter), node.parameter
    if count is not None:
        return value_at(parameter, min(int(fraction * count), count - 1))
    assert isinstance(parameter, FloatParameter)
    ends = {0.0: float(parameter.min), 1.0: float(parameter.max)}
    return ends.get(fraction, interpolate(parameter, fraction))
