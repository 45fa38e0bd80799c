"""The space of a study: its parameters as a tree, and what can be asked of it.

A `Node` is one definition of one parameter. A name may have several, under conditions that exclude
each other. An assignment maps the names of the active parameters to values.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    When,
)

_MAX_STATES = 100_000
Value = bool | int | float | str
Assignment = Mapping[str, Value]
"""Values of the active parameters by name, in the order of the space."""


@dataclass(frozen=True)
class Node:
    """One definition of one parameter."""

    key: str
    """Unique in the space: the parameter's name, with ``#2``, ``#3`` … for further definitions."""
    name: str
    parameter: Parameter

    @property
    def when(self) -> When:
        """The direct parents' names and the values under which this node is active."""
        return self.parameter.when or {}

    @cached_property
    def values(self) -> tuple[Value, ...] | None:
        """Every value in order, or None for a float without a step."""
        return list_values(self.parameter)


def is_same_value(left: Value, right: Value) -> bool:
    """Tell whether two values are one value: 4 is 4.0, but 1 is neither True nor "1"."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, str) != isinstance(right, str):
        return False
    return left == right


def format_value(value: Value) -> str:
    """Return the one spelling of a value in which every script and service is given it.

    A bool is ``True`` or ``False``, a float the shortest text that reads back the same.
    """
    return value if isinstance(value, str) else repr(value)


def list_values(parameter: Parameter) -> tuple[Value, ...] | None:
    """Return all values of a parameter in order, or None for a float without a step."""
    match parameter:
        case BoolParameter():
            return (False, True)
        case DiscreteParameter() | CategoricalParameter():
            return tuple(parameter.values)
        case IntParameter():
            return tuple(range(parameter.min, parameter.max + 1, parameter.step or 1))
        case FloatParameter():
            if parameter.min == parameter.max:
                return (float(parameter.min),)
            if parameter.step is None:
                return None
            low, step = Decimal(repr(parameter.min)), Decimal(repr(parameter.step))
            count = int((Decimal(repr(parameter.max)) - low) / step) + 1
            return tuple(float(low + k * step) for k in range(count))


def count_values(parameter: Parameter) -> int | None:
    """Return how many values a parameter has without listing them; None for a continuum."""
    match parameter:
        case BoolParameter():
            return 2
        case DiscreteParameter() | CategoricalParameter():
            return len(parameter.values)
        case IntParameter():
            return (parameter.max - parameter.min) // (parameter.step or 1) + 1
        case FloatParameter():
            if parameter.min == parameter.max:
                return 1
            if parameter.step is None:
                return None
            span = Decimal(repr(parameter.max)) - Decimal(repr(parameter.min))
            return int(span / Decimal(repr(parameter.step))) + 1


def value_at(parameter: Parameter, place: int) -> Value:
    """Return the value at a place in the parameter's order, from 0, without listing the others.

    Raises:
        ValueError: If the parameter is a float without a step.
    """
    match parameter:
        case BoolParameter():
            return bool(place)
        case DiscreteParameter() | CategoricalParameter():
            return parameter.values[place]
        case IntParameter():
            return parameter.min + place * (parameter.step or 1)
        case FloatParameter():
            low = Decimal(repr(parameter.min))
            if parameter.step is not None:
                return float(low + place * Decimal(repr(parameter.step)))
            if parameter.min == parameter.max:
                return float(low)
            raise ValueError("a float without a step has no countable values")


def match_value(parameter: Parameter, value: Value) -> Value | None:
    """Return a parameter's own spelling of a value (4.0 for 4 in a float), or None if not in it."""
    match parameter:
        case FloatParameter() | IntParameter():
            if isinstance(value, bool | str) or not parameter.min <= value <= parameter.max:
                return None
            if isinstance(parameter, IntParameter):
                if value != int(value) or (int(value) - parameter.min) % (parameter.step or 1):
                    return None
                return int(value)
            if parameter.step is None:
                return float(value)
            steps = (Decimal(repr(value)) - Decimal(repr(parameter.min))) / Decimal(
                repr(parameter.step)
            )
            near = round(steps)
            if near >= (count_values(parameter) or 0):
                return None
            own = value_at(parameter, near)
            return own if own == value or abs(steps - near) <= Decimal("1e-9") else None
        case _:
            members = list_values(parameter) or ()
            return next((member for member in members if is_same_value(member, value)), None)


class Space:
    """The tree of a study's parameters."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Keep the nodes, parents before children and otherwise in the order given.

        Raises:
            ValueError: If the conditions form a cycle.
        """
        self.nodes = tuple(sort_parents_first(nodes))
        if len(self.nodes) < len(nodes):
            raise ValueError("the conditions form a cycle")

    @classmethod
    def from_study(cls, study: StudyFields) -> Space:
        """Return the space of a study."""
        return cls(list_nodes(study))

    def active_nodes(self, assignment: Assignment) -> Iterator[Node]:
        """Yield the nodes that are active under an assignment, parents first.

        Values of inactive parameters in the assignment do not count.
        """
        known: dict[str, Value] = {}
        for node in self.nodes:
            if is_active(node, known):
                yield node
                if node.name in assignment:
                    known[node.name] = assignment[node.name]

    @cached_property
    def size(self) -> int | None:
        """How many assignments there are; None if they cannot be counted.

        That is where a parameter is continuous, or where conditions hang on more combinations of
        parents than can be looked at.
        """
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.when}
        states: dict[tuple[tuple[str, Value, type], ...], int] = {(): 1}
        for place, node in enumerate(self.nodes):
            count = count_values(node.parameter)
            if count is None:
                return None
            following: dict[tuple[tuple[str, Value, type], ...], int] = {}
            for state, ways in states.items():
                known = {name: value for name, value, _ in state}
                kept = tuple(entry for entry in state if last_use[entry[0]] > place)
                if not is_active(node, known):
                    following[kept] = following.get(kept, 0) + ways
                elif node.name not in last_use:
                    following[kept] = following.get(kept, 0) + ways * count
                elif len(following) + count > _MAX_STATES:
                    return None
                else:
                    for value in node.values or ():
                        longer = (*kept, (node.name, value, type(value)))
                        following[longer] = following.get(longer, 0) + ways
            states = following
        return sum(states.values())

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every assignment once, the last parameter fastest.

        Raises:
            ValueError: If a parameter is continuous.
        """
        for node in self.nodes:
            if count_values(node.parameter) is None:
                raise ValueError(f"{node.name} has no countable values")
        return self._grid(0, {})

    def _grid(self, depth: int, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        while depth < len(self.nodes) and not is_active(self.nodes[depth], known):
            depth += 1
        if depth == len(self.nodes):
            yield dict(known)
            return
        node = self.nodes[depth]
        for place in range(count_values(node.parameter) or 0):
            value = value_at(node.parameter, place)
            yield from self._grid(depth + 1, {**known, node.name: value})


def list_nodes(study: StudyFields) -> list[Node]:
    """Return one node a definition, in the order of the study."""
    nodes: list[Node] = []
    keys = set(study.parameters)
    for name, parameters in study.parameters.items():
        for number, parameter in enumerate(parameters, start=1):
            key = name if number == 1 else f"{name}#{number}"
            while number > 1 and key in keys:
                key += "#"
            keys.add(key)
            nodes.append(Node(key, name, parameter))
    return nodes


def is_active(node: Node, known: Assignment) -> bool:
    """Tell whether a node's conditions hold, given the values of its active parents."""
    return all(
        parent in known and any(is_same_value(known[parent], value) for value in values)
        for parent, values in node.when.items()
    )


def resolve_scale(parameter: FloatParameter | IntParameter | DiscreteParameter) -> str:
    """Return the scale with ``auto`` decided: log from two orders of magnitude on, else linear."""
    if parameter.scale != "auto":
        return parameter.scale
    if isinstance(parameter, DiscreteParameter):
        low, high = parameter.values[0], parameter.values[-1]
    else:
        low, high = parameter.min, parameter.max
    return "log" if low > 0 and high / low >= 100 else "linear"


def sort_parents_first(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield nodes after all definitions of their parents, otherwise in the order given.

    What hangs on a cycle of conditions is left out.
    """
    to_come = Counter(node.name for node in nodes)
    children: dict[str, list[int]] = {}
    missing = [sum(parent in to_come for parent in node.when) for node in nodes]
    for place, node in enumerate(nodes):
        for parent in node.when:
            children.setdefault(parent, []).append(place)
    ready = [place for place, count in enumerate(missing) if count == 0]
    while ready:
        node = nodes[heapq.heappop(ready)]
        yield node
        to_come[node.name] -= 1
        for place in children.get(node.name, ()) if to_come[node.name] == 0 else ():
            missing[place] -= 1
            if missing[place] == 0:
                heapq.heappush(ready, place)


def reverse_log_bounds(low: float, high: float) -> tuple[float, float]:
    """Return the bounds between which ``reverse_log`` takes the logarithm of the way down from max.

    For positive bounds they are the bounds themselves, so that the log range is mirrored as Vizier
    does. Other bounds have no logarithm: there the last thousandth of the range is taken as the
    finest difference, so that values lie over three orders of magnitude from max.
    """
    finest = low if low > 0 else max((high - low) / 1000, math.ulp(0.0))
    return finest, finest + (high - low)


def interpolate(parameter: FloatParameter | IntParameter, share: float) -> float:
    """Return the value that lies at a share (0 to 1) of the way from min to max on its scale."""
    low, high = float(parameter.min), float(parameter.max)
    match resolve_scale(parameter):
        case "log":
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        case "reverse_log":
            near, far = reverse_log_bounds(low, high)
            value = high + near - math.exp(math.log(far) + share * (math.log(near) - math.log(far)))
        case _:
            value = low * (1 - share) + high * share
    return min(max(value, low), high)
