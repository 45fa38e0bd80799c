"""Check the values of parameters that are maps."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Problem
from cloudtune.launcher.values import part_name
from cloudtune.study.fields import StudyFields
from cloudtune.study.map_values import MapValue
from cloudtune.study.schema import CategoricalParameter
from cloudtune.study.validation.parameters import check_name


def check_map_values(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    """Yield the problems of values that are maps.

    All values of a parameter are maps, or none. The script gets each part under a name of its own.
    """
    for name in study.maps:
        if f"parameters.{name}" not in invalid_fields:
            yield from _check_kinds(study, name)
    others = {*study.parameters, *study.script_constants, study.strategy.resource}
    owners = dict.fromkeys(others - study.maps.keys(), "another parameter or constant")
    for name, path, value in _map_values(study):
        if not value.parts:
            yield Problem(path, "a map must not be empty", "add a key, such as name")
        for key in value.parts:
            argument = part_name(name, key)
            yield from check_name(key, f"{path}.{key}", study)
            if owners.setdefault(argument, f"{name} {key}") != f"{name} {key}":
                message = f"{argument} is also the name of {owners[argument]}"
                yield Problem(f"{path}.{key}", message, "rename one of them")


def _check_kinds(study: StudyFields, name: str) -> Iterator[Problem]:
    definitions = study.parameters[name]
    for number, parameter in enumerate(definitions):
        path = study.item_path(f"parameters.{name}", number, len(definitions))
        if not isinstance(parameter, CategoricalParameter):
            message = f"another definition of {name} has maps as values"
            yield Problem(path, message, "list maps in each definition")
            continue
        for index, value in enumerate(parameter.values):
            if not isinstance(value, MapValue):
                message = "either all values of a parameter are maps, or none"
                yield Problem(f"{path}.values.{index}", message, f"write {{name: {value}}}")


def _map_values(study: StudyFields) -> Iterator[tuple[str, str, MapValue]]:
    """Yield the name of the parameter, the path, and each value that is a map."""
    for path, name, parameter in study.definitions():
        if isinstance(parameter, CategoricalParameter):
            for index, value in enumerate(parameter.values):
                if isinstance(value, MapValue):
                    yield name, f"{path}.values.{index}", value
