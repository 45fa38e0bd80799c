"""Reads a search space of Ray Tune: functions with arguments, constants and nested maps."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.formats.branches import Definitions
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.ranges import keep_whole, list_definition
from cloudtune.formats.ray.names import LISTS, OBJECT, RANGES, REFUSED, is_domain
from cloudtune.formats.values import parse_number
from cloudtune.study.yaml_reader import is_list, is_map


class SpaceReader(Definitions):
    """Reads ``param_space`` into the parameters and the constants of a study."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.constants: Json = {}
        self.grid: dict[str, Fields] = {}
        """The grid searches by parameter."""

    def read(self, space: Fields, prefix: str = "") -> None:
        """Read a map, whose names get a prefix."""
        for key in list(space.original):
            value, name = space.peek(key), f"{prefix}{key}"
            self.origins[f"parameters.{name}"] = self.origins[f"constants.{name}"] = space.at(key)
            if is_domain(value):
                self._domain(name, space.map(key))
            elif is_map(value) and value.keys() == {OBJECT}:
                space.drop(key, f"a study has no constant of the type {value[OBJECT]}")
                space.take(key)
            elif is_map(value):
                inner = space.map(key)
                inner.is_marker = True  # an export nests again
                self.read(inner, f"{name}.")
            elif name in self.parameters or name in self.constants:
                space.mistake(key, f"the parameter {name} is defined twice")
            elif value is None:
                space.drop(key, "a study has no null as a constant")
            elif is_list(value):
                self._list(key, value, space)
            else:
                self.constants[name] = space.take(key)

    def _list(self, key: str, values: list[Any], space: Fields) -> None:
        if any(map(is_domain, values)):
            space.refuse(key, "a study has no list of parameters")
        else:
            text = "kept for Ray: a study has no lists as constants; pass it in trial.args"
            space.warn(key, text)

    def _domain(self, name: str, fields: Fields) -> None:
        ((function, _),) = fields.original.items()
        if function in REFUSED:
            fields.refuse(function, REFUSED[function])
            return
        arguments = fields.items(function)
        if function in LISTS:
            if not arguments:
                fields.mistake(function, "needs at least one value")
                return
            self.add_choice(name, fields, function, arguments)
            if function == "grid_search":
                self.grid[name] = fields
        elif (definition := read_range(function, arguments, fields)) is not None:
            self.add(name, definition, fields.path)


def read_range(function: str, arguments: list[Any], fields: Fields) -> Json | None:
    """Return the parameter of a range; None after a mistake.

    Args:
        function: The function of ``ray.tune``.
        arguments: Its arguments: two bounds and, if it rounds, the step.
        fields: The map with the function, for messages. What an export cannot derive is kept.
    """
    numbers = [number for value in arguments if (number := parse_number(value)) is not None]
    if function == "qrandint" and len(arguments) == 2:
        numbers.append(1)
    elif len(numbers) != len(arguments) or len(numbers) != RANGES[function]:
        message = f"{function} needs {RANGES[function]} numbers, not {arguments!r}"
        fields.mistake(function, message)
        return None
    low, high, *rest = numbers
    is_int, is_log = function.endswith("randint"), "log" in function
    if is_int and any(number != int(number) for number in numbers):
        fields.mistake(function, f"{function} needs integers, not {arguments!r}")
        return None
    step = rest[0] if rest else None
    if is_int:
        low, high, step = int(low), int(high), None if step is None else int(step)
    if step is not None and step <= 0:
        fields.mistake(function, f"the step must be greater than 0, not {step}")
        return None
    if is_log and low <= 0:
        message = f"a log scale needs a lower bound above 0, not {low}"
        fields.mistake(function, message)
        return None
    if is_int and (step is None or step == 1):
        high -= 1  # the upper bound is no value itself
        step = None
    elif is_int and step is not None:
        first, last = -(-low // step) * step, high // step * step
        if (first, last) != (low, high):
            keep_whole(fields)
        low, high = first, last
    elif step is not None and not all(_is_multiple(bound, step) for bound in (low, high)):
        fields.mistake(function, f"the bounds must be multiples of {step}")
        return None
    if low > high:
        message = "the upper bound of integers is no value itself" if is_int else "no values"
        fields.mistake(function, f"no values from {arguments[0]} to {arguments[1]}: {message}")
        return None
    scale = {"scale": "log"} if is_log else {}
    definition: Json = {"type": "int" if is_int else "float", "min": low, "max": high, **scale}
    if step is None or low == high:
        return definition
    stepped = definition | {"step": step}
    return list_definition(stepped, fields, function) if is_log else stepped


def _is_multiple(bound: float, step: float) -> bool:
    return math.isclose(bound / step, round(bound / step))
