"""Conditions of ConfigSpace, and those of a study: lists of the values of parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.formats.configspace.names import MAX_VALUES
from cloudtune.formats.fields import Json
from cloudtune.formats.ranges import parse_parameter
from cloudtune.formats.values import typed, unique_values
from cloudtune.study.search_space import count_values, list_values
from cloudtune.study.yaml_reader import is_list, is_map

When = dict[str, list[Any]]


class UnsupportedConditionError(Exception):
    """A condition that a study cannot express, with the reason."""


class Conditions:
    """Reads the conditions of one space.

    Args:
        parameters: The parameters of the study, without their conditions.
        children: The parameters that have a condition.
    """

    def __init__(self, parameters: Mapping[str, Any], children: set[str]) -> None:
        self._parameters = parameters
        self._children = children

    def read(self, condition: Json) -> list[When]:
        """Return alternatives of which one must hold; at most one of them can.

        Raises:
            UnsupportedConditionError: If a study cannot express the condition.
        """
        kind, parts = str(condition.get("type")), condition.get("conditions")
        if kind in {"AND", "OR"}:
            if not is_list(parts) or not parts or not all(map(is_map, parts)):
                raise UnsupportedConditionError(f"{kind} needs a list of conditions")
            read = [self.read(part) for part in parts]
            return self.all_of(read) if kind == "AND" else self._any(read)
        parent = condition.get("parent")
        if not isinstance(parent, str) or parent not in self._parameters:
            raise UnsupportedConditionError(f"the parent {parent!r} is not a parameter")
        values = self._values(parent, kind, condition)
        if not values:
            raise UnsupportedConditionError(f"no value of {parent} makes it active")
        return [{parent: values}]

    def _values(self, parent: str, kind: str, condition: Json) -> list[Any]:
        value = condition.get("value")
        if kind == "EQ":
            return self._known(parent, [value])
        if kind == "IN" and is_list(condition.get("values")):
            return self._known(parent, condition["values"])
        known = self._all_values(parent)
        if kind == "NEQ":
            return [each for each in known if typed(each) != typed(value)]
        if kind in {"LT", "GT"}:
            positions = [i for i, each in enumerate(known) if typed(each) == typed(value)]
            if not positions:
                raise UnsupportedConditionError(f"{value!r} is not a value of {parent}")
            (position,) = positions
            return known[:position] if kind == "LT" else known[position + 1 :]
        raise UnsupportedConditionError(f"unknown condition {kind!r}")

    def _known(self, parent: str, values: Sequence[Any]) -> list[Any]:
        if any(is_map(value) or is_list(value) or value is None for value in values):
            raise UnsupportedConditionError(f"a value of {parent} is null, a list or a map")
        definition = self._parameters[parent]
        if "values" in definition:
            kept = set(map(typed, definition["values"]))
            values = [value for value in values if typed(value) in kept]
        return unique_values(values)

    def _all_values(self, parent: str) -> list[Any]:
        parameter = parse_parameter(self._parameters[parent])
        count = count_values(parameter)
        if count is None or count > MAX_VALUES:
            reason = f"a study lists the values of {parent}, and it has more than {MAX_VALUES}"
            raise UnsupportedConditionError(reason)
        return list(list_values(parameter) or ())

    def all_of(self, parts: Sequence[list[When]]) -> list[When]:
        """Return the alternatives in which one of each part holds.

        Raises:
            UnsupportedConditionError: If the parts exclude each other.
        """
        found: list[When] = [{}]
        for alternatives in parts:
            found = [
                merged
                for one in found
                for other in alternatives
                if (merged := _intersect(one, other)) is not None
            ]
        if not found:
            raise UnsupportedConditionError("its parts exclude each other")
        return found

    def _any(self, parts: Sequence[list[When]]) -> list[When]:
        whens = [when for alternatives in parts for when in alternatives]
        if any(len(when) > 1 for when in whens):
            raise UnsupportedConditionError("an OR of several conditions in each part")
        united: When = {}
        for when in whens:
            for parent, values in when.items():
                united[parent] = unique_values([*united.get(parent, []), *values])
        if len(united) > 1 and united.keys() & self._children:
            raise UnsupportedConditionError("an OR of parents that are conditional themselves")
        alternatives: list[When] = []
        others: When = {}
        for parent, values in united.items():
            alternatives.append({**others, parent: values})
            kept = set(map(typed, values))
            others[parent] = [v for v in self._all_values(parent) if typed(v) not in kept]
            if not others[parent]:
                break
        return alternatives


def _intersect(one: When, other: When) -> When | None:
    """Return a condition that holds if both do; None if that is impossible."""
    merged = {parent: list(values) for parent, values in one.items()}
    for parent, values in other.items():
        if parent in merged:
            kept = set(map(typed, values))
            merged[parent] = [value for value in merged[parent] if typed(value) in kept]
            if not merged[parent]:
                return None
        else:
            merged[parent] = list(values)
    return merged


def write_condition(child: str, when: Mapping[str, Sequence[Any]]) -> Json:
    """Return the condition of a child on the values of its parents."""
    parts: list[Json] = []
    for parent, values in when.items():
        if len(values) == 1:
            parts.append({"type": "EQ", "child": child, "parent": parent, "value": values[0]})
        else:
            part = {"type": "IN", "child": child, "parent": parent, "values": list(values)}
            parts.append(part)
    return parts[0] if len(parts) == 1 else {"type": "AND", "child": child, "conditions": parts}
