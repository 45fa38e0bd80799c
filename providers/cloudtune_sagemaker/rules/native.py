"""Checks ``native`` against botocore's model of the service, which botocore itself does not do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from cloudtune.provider import Mode, did_you_mean

OPERATIONS = {"managed": "CreateHyperParameterTuningJob", "driven": "CreateTrainingJob"}
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a string"),
    "integer": ((int,), "an integer"),
    "long": ((int,), "an integer"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "list": ((list,), "a list"),
    "map": ((dict,), "a map"),
    "structure": ((dict,), "a map"),
}
"""The Python types of each type of the model, and its name in messages."""

_UNKNOWN = "unknown field"
Mismatch = tuple[str, str]
"""The path of a field, and what is wrong with its value."""


def check_native(mode: Mode, native: Mapping[str, Any]) -> list[Mismatch]:
    """Return what the service's model does not allow in a part of a request.

    Required fields may be missing, since the part is merged into a complete request. A null removes
    a field.
    """
    model = _model()
    shape = model["operations"][OPERATIONS[mode]]["input"]["shape"]
    return list(_check(model["shapes"], shape, dict(native), ""))


def unknown_fields(native: Mapping[str, Any]) -> list[Mismatch]:
    """Return the fields of a part of a tuning job that the service's model does not have.

    Without botocore, none is returned.
    """
    from importlib.util import find_spec

    if find_spec("botocore") is None:
        return []
    return [each for each in check_native("managed", native) if each[1].startswith(_UNKNOWN)]


@cache
def _model() -> dict[str, Any]:
    from botocore.loaders import Loader

    return cast("dict[str, Any]", Loader().load_service_model("sagemaker", "service-2"))


def _check(shapes: Mapping[str, Any], name: str, value: Any, path: str) -> Iterator[Mismatch]:
    shape = shapes[name]
    kind: str = shape["type"]
    if value is None or kind not in _TYPES:
        return
    if not _has_type(value, kind):
        yield path, f"must be {_TYPES[kind][1]}"
    elif kind == "structure":
        yield from _check_fields(shapes, shape, value, path)
    elif kind == "map":
        for key, inner in value.items():
            yield from _check(shapes, shape["key"]["shape"], key, f"{path}.{key}")
            yield from _check(shapes, shape["value"]["shape"], inner, f"{path}.{key}")
    elif kind == "list":
        # It is merged into another list, so the minimum length does not apply.
        yield from _check_size(shape, len(value), path, " entries", limits=("max",))
        for number, inner in enumerate(value):
            yield from _check(shapes, shape["member"]["shape"], inner, f"{path}.{number}")
    elif kind == "string":
        yield from _check_string(shape, value, path)
    elif kind != "boolean":
        yield from _check_size(shape, value, path)


def _has_type(value: Any, kind: str) -> bool:
    types = _TYPES[kind][0]
    return isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))


def _check_fields(
    shapes: Mapping[str, Any], shape: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> Iterator[Mismatch]:
    for key, inner in value.items():
        inner_path = f"{path}.{key}" if path else key
        if key in shape["members"]:
            yield from _check(shapes, shape["members"][key]["shape"], inner, inner_path)
        else:
            suggestion = did_you_mean(key, shape["members"])
            yield inner_path, f"{_UNKNOWN}{f'; {suggestion}' if suggestion else ''}"


def _check_string(shape: Mapping[str, Any], value: str, path: str) -> Iterator[Mismatch]:
    yield from _check_size(shape, len(value), path, " characters")
    if value not in shape.get("enum", [value]):
        values = f"SageMaker accepts {', '.join(shape['enum'][:12])}"
        yield path, f"unknown value {value}; {did_you_mean(value, shape['enum']) or values}"
    pattern: str = shape.get("pattern", "")
    # Python's re has no Unicode classes, so such patterns are not checked.
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value):
        yield path, f"must match {pattern}"


def _check_size(
    shape: Mapping[str, Any],
    number: float,
    path: str,
    unit: str = "",
    limits: Sequence[str] = ("max", "min"),
) -> Iterator[Mismatch]:
    if "max" in limits and number > shape.get("max", number):
        yield path, f"{number}{unit}: SageMaker accepts at most {shape['max']}"
    if "min" in limits and number < shape.get("min", number):
        yield path, f"{number}{unit}: SageMaker requires at least {shape['min']}"
