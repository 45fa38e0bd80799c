"""Conditional parameters as a tree, as formats with nested choices have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.ranges import take_choice
from cloudtune.study.schema import Parameter
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list

Named = tuple[str, Parameter]


def add_definition(parameters: Json, name: str, definition: Json) -> bool:
    """Add a definition of a parameter, which may have others; return False if it exists already.

    Equal definitions with different values of one condition become one.
    """
    if name not in parameters:
        parameters[name] = definition
        return True
    existing: Any = parameters[name]
    definitions: list[Json] = existing if is_list(existing) else [existing]
    if not all("when" in each for each in [*definitions, definition]):
        return False
    for each in definitions:
        if _without_condition(each) == _without_condition(definition):
            for parent, values in definition["when"].items():
                each["when"][parent] = [*each["when"].get(parent, []), *values]
            return True
    parameters[name] = [*definitions, definition]
    return True


def _without_condition(definition: Json) -> str:
    return repr({key: value for key, value in definition.items() if key != "when"})


class Definitions:
    """Collects the parameters of a study, and where each one is in the document.

    Args:
        report: Where parameters that are defined twice are reported.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.parameters: Json = {}
        self.origins: dict[str, str] = {}

    def add(self, name: str, definition: Json, path: str, when: Json | None = None) -> None:
        """Add a definition, which is active under a condition."""
        condition = {"when": {key: list(values) for key, values in when.items()}} if when else {}
        if not add_definition(self.parameters, name, {**definition, **condition}):
            self.report.mistake(path, f"the parameter {name} is defined twice")
        added: Any = self.parameters[name]
        last = len(added) - 1 if is_list(added) else 0
        self.origins.setdefault(f"parameters.{name}.{last}", path)

    def add_choice(
        self, name: str, fields: Fields, key: str, values: Sequence[Any], when: Json | None = None
    ) -> None:
        """Add a choice between the values of a key, unless a study cannot hold one of them."""
        if (definition := take_choice(fields, key, values)) is not None:
            self.add(name, definition, fields.path, when)


class Branches:
    """The parameters of a fitted study, each with at most one parent."""

    def __init__(self, study: Study) -> None:
        self.roots: list[Named] = []
        self._children: dict[str, list[Named]] = {}
        for name, definitions in study.parameters.items():
            for definition in definitions:
                if parent := next(iter(definition.when or {}), None):
                    self._children.setdefault(parent, []).append((name, definition))
                else:
                    self.roots.append((name, definition))

    def has_children(self, name: str) -> bool:
        """Return whether other parameters depend on a parameter."""
        return name in self._children

    def children(self, name: str, value: Any) -> list[Named]:
        """Return the parameters that are active for a value of a parameter."""
        return [
            (child, definition)
            for child, definition in self._children.get(name, [])
            if _is_one_of(value, (definition.when or {})[name])
        ]


def _is_one_of(value: Any, values: Sequence[Any]) -> bool:
    if isinstance(value, bool):
        return any(value is each for each in values)
    return any(value == each and not isinstance(each, bool) for each in values)


def local_name(name: str, parent: str) -> str:
    """Return the name of a parameter below its parent: what follows the dot."""
    return name.removeprefix(f"{parent}.")
