"""Checks ``native`` against botocore's model of the service, which botocore itself does not do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from cloudtune.study.schema import Mode
from cloudtune.study.suggestions import did_you_mean

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
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a map",
    "structure": "a map",
}


def problems(mode: Mode, native: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a part of a request says that the service does not know: where, and why.

    What a request needs may be missing, since this is put over one; null removes a field.
    """
    model = _model()
    shape = model["operations"][OPERATIONS[mode]]["input"]["shape"]
    return list(_wrong(model["shapes"], shape, dict(native), ""))


@cache
def _model() -> dict[str, Any]:
    from botocore.loaders import Loader

    return cast("dict[str, Any]", Loader().load_service_model("sagemaker", "service-2"))


def _wrong(
    shapes: Mapping[str, Any], name: str, value: Any, path: str
) -> Iterator[tuple[str, str]]:
    shape = shapes[name]
    kind: str = shape["type"]
    if value is None or kind not in _TYPES:
        return
    if not _is(value, kind):
        yield path, f"this must be {_WORDS[kind]}"
    elif kind == "structure":
        yield from _wrong_fields(shapes, shape, value, path)
    elif kind == "map":
        for key, inner in value.items():
            yield from _wrong(shapes, shape["key"]["shape"], key, f"{path}.{key}")
            yield from _wrong(shapes, shape["value"]["shape"], inner, f"{path}.{key}")
    elif kind == "list":
        # It is merged into another one, so there is no least number of entries.
        yield from _too_many(shape, len(value), path, "entries")
        for number, inner in enumerate(value):
            yield from _wrong(shapes, shape["member"]["shape"], inner, f"{path}.{number}")
    elif kind == "string":
        yield from _wrong_text(shape, value, path)
    elif kind != "boolean":
        yield from _too_many(shape, value, path, "")
        yield from _too_few(shape, value, path, "")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _wrong_fields(
    shapes: Mapping[str, Any], shape: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        place = f"{path}.{key}" if path else key
        if key in shape["members"]:
            yield from _wrong(shapes, shape["members"][key]["shape"], inner, place)
        else:
            near = did_you_mean(key, shape["members"])
            yield place, f"SageMaker has no such field here{f'; {near}' if near else ''}"


def _wrong_text(shape: Mapping[str, Any], value: str, path: str) -> Iterator[tuple[str, str]]:
    yield from _too_many(shape, len(value), path, "characters")
    yield from _too_few(shape, len(value), path, "characters")
    if value not in shape.get("enum", [value]):
        near = did_you_mean(value, shape["enum"])
        known = ", ".join(shape["enum"][:12])
        yield path, f"SageMaker does not know {value}; {near or f'it knows {known}'}"
    if not _matches(shape.get("pattern", ""), value):
        yield path, f"this does not have the form {shape['pattern']}"


def _too_many(
    shape: Mapping[str, Any], number: float, path: str, unit: str
) -> Iterator[tuple[str, str]]:
    if "max" in shape and number > shape["max"]:
        yield path, f"{f'{number} {unit}'.strip()}, and SageMaker takes at most {shape['max']}"


def _too_few(
    shape: Mapping[str, Any], number: float, path: str, unit: str
) -> Iterator[tuple[str, str]]:
    if "min" in shape and number < shape["min"]:
        yield path, f"{f'{number} {unit}'.strip()}, and SageMaker takes at least {shape['min']}"


def _matches(pattern: str, value: str) -> bool:
    """Tell whether a text has the form of a pattern; the model's are meant for the whole text."""
    if not pattern or "\\p{" in pattern:
        return True
    return re.fullmatch(pattern, value) is not None
