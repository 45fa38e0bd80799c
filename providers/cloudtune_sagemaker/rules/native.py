"""Checks ``native`` against botocore's model of the service, which botocore itself does not do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from cloudtune.provider import Mode, did_you_mean

OPERATIONS = {"managed": "CreateHyperParameterTuningJob", "driven": "CreateTrainingJob"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}
_TYPE_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a map",
    "structure": "a map",
}

Problem = tuple[str, str]
"""The path of a field, and what is wrong with its value."""


def check_native(mode: Mode, native: Mapping[str, Any]) -> list[Problem]:
    """Return what the service's model does not allow in a part of a request.

    Required fields may be missing, since the part is merged into a complete request. A null removes
    a field.
    """
    model = _model()
    shape = model["operations"][OPERATIONS[mode]]["input"]["shape"]
    return list(_check(model["shapes"], shape, dict(native), ""))


@cache
def _model() -> dict[str, Any]:
    from botocore.loaders import Loader

    return cast("dict[str, Any]", Loader().load_service_model("sagemaker", "service-2"))


def _check(shapes: Mapping[str, Any], name: str, value: Any, path: str) -> Iterator[Problem]:
    shape = shapes[name]
    kind: str = shape["type"]
    if value is None or kind not in _TYPES:
        return
    if not _has_type(value, kind):
        yield path, f"must be {_TYPE_NAMES[kind]}"
    elif kind == "structure":
        yield from _check_fields(shapes, shape, value, path)
    elif kind == "map":
        for key, inner in value.items():
            yield from _check(shapes, shape["key"]["shape"], key, f"{path}.{key}")
            yield from _check(shapes, shape["value"]["shape"], inner, f"{path}.{key}")
    elif kind == "list":
        # It is merged into another list, so the minimum length does not apply.
        yield from _check_max(shape, len(value), path, "entries")
        for number, inner in enumerate(value):
            yield from _check(shapes, shape["member"]["shape"], inner, f"{path}.{number}")
    elif kind == "string":
        yield from _check_string(shape, value, path)
    elif kind != "boolean":
        yield from _check_max(shape, value, path, "")
        yield from _check_min(shape, value, path, "")


def _has_type(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _check_fields(
    shapes: Mapping[str, Any], shape: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> Iterator[Problem]:
    for key, inner in value.items():
        inner_path = f"{path}.{key}" if path else key
        if key in shape["members"]:
            yield from _check(shapes, shape["members"][key]["shape"], inner, inner_path)
        else:
            suggestion = did_you_mean(key, shape["members"])
            yield inner_path, f"unknown field{f'; {suggestion}' if suggestion else ''}"


def _check_string(shape: Mapping[str, Any], value: str, path: str) -> Iterator[Problem]:
    yield from _check_max(shape, len(value), path, "characters")
    yield from _check_min(shape, len(value), path, "characters")
    if value not in shape.get("enum", [value]):
        values = f"SageMaker accepts {', '.join(shape['enum'][:12])}"
        yield path, f"unknown value {value}; {did_you_mean(value, shape['enum']) or values}"
    if not _matches(shape.get("pattern", ""), value):
        yield path, f"must match {shape['pattern']}"


def _check_max(shape: Mapping[str, Any], number: float, path: str, unit: str) -> Iterator[Problem]:
    if "max" in shape and number > shape["max"]:
        yield path, f"{f'{number} {unit}'.strip()}: SageMaker accepts at most {shape['max']}"


def _check_min(shape: Mapping[str, Any], number: float, path: str, unit: str) -> Iterator[Problem]:
    if "min" in shape and number < shape["min"]:
        yield path, f"{f'{number} {unit}'.strip()}: SageMaker requires at least {shape['min']}"


def _matches(pattern: str, value: str) -> bool:
    """Return whether all of a string matches a pattern; Unicode classes always match."""
    if not pattern or "\\p{" in pattern:
        return True
    return re.fullmatch(pattern, value) is not None
