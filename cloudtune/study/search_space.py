"""The search space of a study: the tree of its parameters.

A `Node` is one definition of a parameter. A parameter can have several definitions if their
conditions exclude each other. An assignment maps the names of the active parameters to values.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from cloudtune.launcher.values import format_value as format_value  # noqa: PLC0414 - exported
from cloudtune.launcher.values import is_same_value as is_same_value  # noqa: PLC0414 - exported
from cloudtune.study.expressions import Range
from cloudtune.study.expressions import Value as Value  # noqa: PLC0414 - exported
from cloudtune.study.fields import StudyFields
from cloudtune.study.map_values import plain_value
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    When,
)

if TYPE_CHECKING:
    from cloudtune.study.constraints import Constraint

_MAX_STATES = 100_000
_MAX_COUNTED = 100_000
"""Of how many assignments a constraint is checked to count those that keep it."""
Assignment = Mapping[str, Value]
"""The values of the active parameters, by name in the order of the space."""
AssignmentKey = frozenset[tuple[str, Value, bool]]


def assignment_key(assignment: Assignment) -> AssignmentKey:
    """Return what equal assignments have in common: 4 is 4.0, and 1 is not True."""
    return frozenset((name, value, isinstance(value, bool)) for name, value in assignment.items())


@dataclass(frozen=True)
class Node:
    """One definition of a parameter."""

    key: str
    """Unique in the space: the name, followed by ``#2``, ``#3`` … for further definitions."""
    name: str
    parameter: Parameter

    @property
    def when(self) -> When:
        """The values of each direct parent for which this node is active."""
        return self.parameter.when or {}

    @cached_property
    def values(self) -> tuple[Value, ...] | None:
        """All values in order, or None for a float without a step."""
        return list_values(self.parameter)


def list_values(parameter: Parameter) -> tuple[Value, ...] | None:
    """Return all values of a parameter in order, or None for a float without a step."""
    count = count_values(parameter)
    return None if count is None else tuple(value_at(parameter, i) for i in range(count))


def count_values(parameter: Parameter) -> int | None:
    """Return the number of values, without listing them; None for a float without a step."""
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


def value_at(parameter: Parameter, index: int) -> Value:
    """Return the value at an index, counted from 0, without listing the others.

    Raises:
        ValueError: If the parameter is a float without a step.
    """
    match parameter:
        case BoolParameter():
            return bool(index)
        case DiscreteParameter() | CategoricalParameter():
            return plain_value(parameter.values[index])
        case IntParameter():
            return parameter.min + index * (parameter.step or 1)
        case FloatParameter():
            low = Decimal(repr(parameter.min))
            if parameter.step is not None:
                return float(low + index * Decimal(repr(parameter.step)))
            if parameter.min == parameter.max:
                return float(low)
            raise ValueError("a float without a step has no countable values")


def indices_between(parameter: Parameter, pair: tuple[Any, Any]) -> range:
    """Return the indices of the values in a range; the values are rising and countable."""
    at: Callable[[int], Any] = partial(value_at, parameter)
    every = range(count_values(parameter) or 0)
    return every[bisect_left(every, pair[0], key=at) : bisect_right(every, pair[1], key=at)]


def value_range(parameter: Parameter) -> Range:
    """Return the least and the largest value, integers only if all are; None without an order."""
    match parameter:
        case BoolParameter():
            return False, True
        case DiscreteParameter():
            return parameter.values[0], parameter.values[-1]
        case CategoricalParameter():
            numbers = [each for each in parameter.values if not isinstance(each, str)]
            is_ordered = len(numbers) == len(parameter.values)
            zero = 0.0 if any(isinstance(each, float) for each in numbers) else 0
            return (min(numbers) + zero, max(numbers) + zero) if is_ordered else None
        case FloatParameter() | IntParameter():
            zero = 0.0 if isinstance(parameter, FloatParameter) else 0
            return parameter.min + zero, parameter.max + zero


def match_value(parameter: Parameter, value: Value) -> Value | None:
    """Return the value of a parameter that equals a value (4.0 for 4 in a float), or None."""
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
            steps = Decimal(repr(value)) - Decimal(repr(parameter.min))
            steps /= Decimal(repr(parameter.step))
            index = round(steps)
            if index >= (count_values(parameter) or 0):
                return None
            match = value_at(parameter, index)
            return match if match == value or abs(steps - index) <= Decimal("1e-9") else None
        case _:
            values = (False, True) if isinstance(parameter, BoolParameter) else parameter.values
            return next((plain_value(each) for each in values if is_same_value(each, value)), None)


class Space:
    """The tree of a study's parameters."""

    def __init__(self, nodes: Sequence[Node], constraints: Sequence[Constraint] = ()) -> None:
        """Create the space, with parents before children and otherwise in the given order.

        Raises:
            ValueError: If the conditions form a cycle.
        """
        self.nodes = tuple(sort_parents_first(nodes))
        if len(self.nodes) < len(nodes):
            raise ValueError("the conditions form a cycle")
        self.constraints = tuple(constraints)

    @classmethod
    def from_study(cls, study: StudyFields) -> Space:
        """Return the search space of a study."""
        if not study.constraints:
            return cls(list_nodes(study))
        from cloudtune.study.constraints import parameter_constraints

        return cls(list_nodes(study), parameter_constraints(study))

    def allows(self, assignment: Assignment) -> bool:
        """Return whether an assignment keeps the constraints between parameters."""
        return all(constraint.holds(assignment) for constraint in self.constraints)

    def may_allow(self, known: Assignment, depth: int) -> bool:
        """Return whether the constraints can hold with values of the nodes before a depth."""
        return not self.constraints or all(
            constraint.holds(known)
            if constraint.names <= known.keys()
            else (ranges := self._ranges(constraint, known, depth)) is None
            or constraint.is_possible(ranges)
            for constraint in self.constraints
        )

    def _ranges(
        self, constraint: Constraint, known: Assignment, depth: int
    ) -> dict[str, Range] | None:
        """Return the ranges of a constraint's parameters; None if one may be inactive."""
        ranges: dict[str, Range] = {}
        for name in constraint.names:
            if name in known:
                ranges[name] = known[name], known[name]
                continue
            later = [node for node in self.nodes[depth:] if node.name == name]
            if not later or any(node.when for node in later):
                return None  # the constraint does not apply if the parameter is inactive
            ranges[name] = value_range(later[0].parameter)
        return ranges

    def _possible_indices(self, depth: int, known: Assignment) -> range:
        """Return the indices of the values of a node for which the constraints may hold."""
        node, parameter = self.nodes[depth], self.nodes[depth].parameter
        pair: Range = None
        for constraint in self.constraints if value_range(parameter) else ():
            if node.name in constraint.names and (ranges := self._ranges(constraint, known, depth)):
                narrowed = constraint.narrow({**ranges, node.name: pair or ranges[node.name]})
                if narrowed is None:
                    return range(0)
                pair = narrowed[node.name]
        if pair is None or isinstance(parameter, BoolParameter | CategoricalParameter):
            return range(count_values(parameter) or 0)
        return indices_between(parameter, pair)

    def active_nodes(self, assignment: Assignment) -> Iterator[Node]:
        """Yield the nodes that are active under an assignment, parents first.

        Values of inactive parameters in the assignment are ignored.
        """
        known: dict[str, Value] = {}
        for node in self.nodes:
            if is_active(node, known):
                yield node
                if node.name in assignment:
                    known[node.name] = assignment[node.name]

    @cached_property
    def size(self) -> int | None:
        """The number of assignments; None if it cannot be counted.

        It cannot be counted if a parameter is continuous, if conditions depend on more than
        100,000 combinations of parents, or if constraints would have to be checked for too many.
        """
        if self.constraints:
            return self._count_allowed()
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.when}
        states = Counter[tuple[tuple[str, Value, type], ...]]({(): 1})
        for index, node in enumerate(self.nodes):
            count = count_values(node.parameter)
            if count is None:
                return None
            following = Counter[tuple[tuple[str, Value, type], ...]]()
            for state, ways in states.items():
                known = {name: value for name, value, _ in state}
                remaining = tuple(entry for entry in state if last_use[entry[0]] > index)
                if not is_active(node, known):
                    following[remaining] += ways
                elif node.name not in last_use:
                    following[remaining] += ways * count
                elif len(following) + count > _MAX_STATES:
                    return None
                else:
                    for value in node.values or ():
                        following[(*remaining, (node.name, value, type(value)))] += ways
            states = following
        return sum(states.values())

    def _count_allowed(self) -> int | None:
        if any(count_values(node.parameter) is None for node in self.nodes):
            return None
        steps = list(islice(self._walk(0, {}), _MAX_COUNTED + 1))
        return None if len(steps) > _MAX_COUNTED else len(steps) - steps.count(None)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every assignment once, the last parameter fastest.

        Raises:
            ValueError: If a parameter is continuous.
        """
        for node in self.nodes:
            if count_values(node.parameter) is None:
                raise ValueError(f"{node.name} has no countable values")
        return (step for step in self._walk(0, {}) if step is not None)

    def _walk(self, depth: int, known: dict[str, Value]) -> Iterator[dict[str, Value] | None]:
        """Yield the assignments in order, and None where the constraints end a branch."""
        if not self.may_allow(known, depth):
            yield None
            return
        while depth < len(self.nodes) and not is_active(self.nodes[depth], known):
            depth += 1
        if depth == len(self.nodes):
            yield dict(known)
            return
        node = self.nodes[depth]
        if not (indices := self._possible_indices(depth, known)):
            yield None
        for index in indices:
            yield from self._walk(depth + 1, {**known, node.name: value_at(node.parameter, index)})


def list_nodes(study: StudyFields) -> list[Node]:
    """Return a node for each definition, in the order of the study."""
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


def definition_path(study: StudyFields, node: Node) -> str:
    """Return the path of a definition in the file: with an index only if there are several."""
    definitions = study.parameters[node.name]
    if len(definitions) == 1:
        return f"parameters.{node.name}"
    index = next(i for i, item in enumerate(definitions) if item is node.parameter)
    return f"parameters.{node.name}.{index}"


def is_active(node: Node, known: Assignment) -> bool:
    """Return whether a node's conditions hold, given the values of its active parents."""
    return conditions_hold(node.when, known)


def conditions_hold(when: When, known: Assignment) -> bool:
    """Return whether conditions hold, given the values of active parameters."""
    return all(
        parent in known and any(is_same_value(known[parent], value) for value in values)
        for parent, values in when.items()
    )


def resolve_scale(parameter: FloatParameter | IntParameter | DiscreteParameter) -> str:
    """Return the scale of a parameter; ``auto`` is log from a ratio of 100 on, else linear."""
    if parameter.scale != "auto":
        return parameter.scale
    low, high = value_range(parameter) or (0, 0)
    return "log" if low > 0 and high / low >= 100 else "linear"


def sort_parents_first(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield each node after all definitions of its parents, otherwise in the given order.

    Nodes that depend on a cycle of conditions are omitted.
    """
    remaining = Counter(node.name for node in nodes)
    children: dict[str, list[int]] = {}
    pending = [sum(parent in remaining for parent in node.when) for node in nodes]
    for index, node in enumerate(nodes):
        for parent in node.when:
            children.setdefault(parent, []).append(index)
    ready = [index for index, count in enumerate(pending) if count == 0]
    while ready:
        node = nodes[heapq.heappop(ready)]
        yield node
        remaining[node.name] -= 1
        for index in children.get(node.name, ()) if remaining[node.name] == 0 else ():
            pending[index] -= 1
            if pending[index] == 0:
                heapq.heappush(ready, index)


def reverse_log_bounds(low: float, high: float) -> tuple[float, float]:
    """Return the bounds of the log scale that ``reverse_log`` mirrors, measured down from max.

    Positive bounds are returned unchanged, so that the log scale is mirrored as in Vizier. Other
    bounds have no logarithm: the smallest distance from max is then a thousandth of the range, so
    that the distances cover three orders of magnitude.
    """
    smallest = low if low > 0 else max((high - low) / 1000, math.ulp(0.0))
    return smallest, smallest + (high - low)


def interpolate(parameter: FloatParameter | IntParameter, fraction: float) -> float:
    """Return the value at a fraction (0 to 1) of the range from min to max, on its scale."""
    low, high = float(parameter.min), float(parameter.max)
    match resolve_scale(parameter):
        case "log":
            value = math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
        case "reverse_log":
            near, far = reverse_log_bounds(low, high)
            value = (
                high + near - math.exp(math.log(far) + fraction * (math.log(near) - math.log(far)))
            )
        case _:
            value = low * (1 - fraction) + high * fraction
    return min(max(value, low), high)
