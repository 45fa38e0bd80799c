"""How an answer of the emulator breaks botocore's model of the service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import regex
from botocore.loaders import Loader
from botocore.model import ServiceModel

RECORDED_WITHOUT = frozenset({"ModelArtifacts"})
"""Members that the model requires, and that recorded answers do not have."""
_TYPES: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
    "timestamp": datetime | int | float,
}


@cache
def service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def problems(operation: str, answer: Any) -> list[str]:
    """Return where the answer of an operation breaks its shape."""
    name = "sagemaker-metrics" if operation == "BatchGetMetrics" else "sagemaker"
    shape = service(name).operation_model(operation).output_shape
    if shape is None:
        return [f"{operation} has no answer"] if answer else []
    return list(_problems(answer, shape, operation))


def _has_type(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _problems(value: Any, shape: Any, path: str) -> Iterator[str]:
    kind: str = shape.type_name
    if not _has_type(value, kind):
        yield f"{path}: {value!r} is no {kind}"
        return
    metadata = shape.metadata
    if kind == "structure":
        yield from (f"{path}.{name}: unknown" for name in value if name not in shape.members)
        missing = set(shape.required_members) - value.keys() - RECORDED_WITHOUT
        yield from (f"{path}.{name}: missing" for name in missing)
        for name in value.keys() & shape.members.keys():
            yield from _problems(value[name], shape.members[name], f"{path}.{name}")
    elif kind == "map":
        for key, item in value.items():
            yield from _problems(key, shape.key, f"{path}.{key}")
            yield from _problems(item, shape.value, f"{path}.{key}")
    elif kind == "list":
        for number, item in enumerate(value):
            yield from _problems(item, shape.member, f"{path}[{number}]")
    elif kind == "string":
        if metadata.get("enum") and value not in metadata["enum"]:
            yield f"{path}: {value!r} is not one of {metadata['enum']}"
        if metadata.get("pattern") and not regex.fullmatch(metadata["pattern"], value):
            yield f"{path}: {value!r} does not match {metadata['pattern']}"
    size = value if kind in {"integer", "long", "float", "double"} else None
    if kind in {"map", "list", "string"}:
        size = len(value)
    if size is not None and not metadata.get("min", size) <= size <= metadata.get("max", size):
        yield f"{path}: {size} is not from {metadata.get('min')} to {metadata.get('max')}"
