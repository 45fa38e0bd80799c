"""Checks requests against botocore's service model, and serializes responses by it.

The model is the authority for members, types, minima, maxima, patterns (full matches) and enums.
The wording is that of the service's front end, which all AWS services of this protocol share.
One deviation: the service ignores unknown members; the emulator refuses them, since they are
mistakes in the request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from cloudtune_sagemaker.emulator.errors import ServiceError, invalid

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape

_MAX_SHOWN = 300
_KINDS = {"integer": "Integer", "long": "Long", "float": "Float", "double": "Double"}


@cache
def service(name: str) -> ServiceModel:
    """Return botocore's model of a service."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    description = Loader().load_service_model(name, "service-2")
    return ServiceModel(description, name)


def parse(operation: OperationModel, body: bytes) -> dict[str, Any]:
    """Return the request of an operation, checked against its shape.

    Raises:
        ServiceError: If it is not JSON, or breaks constraints; with all of them.
    """
    shape = operation.input_shape
    try:
        request: Any = json.loads(body or b"{}")
        if not isinstance(request, dict):
            raise ServiceError("SerializationException", "Start of structure or map expected")
        errors = list(_violations(request, shape, "")) if shape is not None else []
        complete: dict[str, Any] = _without_nulls(request)
    except RecursionError:
        raise ServiceError("SerializationException", "the body is nested too deeply") from None
    except ValueError:
        raise ServiceError("SerializationException", "the body is not JSON") from None
    if errors:
        count = "1 validation error" if len(errors) == 1 else f"{len(errors)} validation errors"
        raise invalid(f"{count} detected: {'; '.join(errors)}")
    return complete


def serialize(operation: OperationModel, answer: Mapping[str, Any]) -> bytes:
    """Return the body of a response.

    Raises:
        AssertionError: If the emulator's answer does not fit the model.
    """
    shape = operation.output_shape
    if shape is None:
        return b""
    return json.dumps(_plain(answer, shape)).encode()


def _violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield a message for each constraint that a value breaks.

    Raises:
        ServiceError: If a value has the wrong type, which ends the check.
    """
    match shape.type_name:
        case "structure":
            yield from _structure_violations(_typed(value, dict, path), shape, path)
        case "list":
            items = _typed(value, list, path)
            yield from _bound_violations(items, len(items), "length", shape, path)
            member = cast("Any", shape).member
            for number, item in enumerate(items, start=1):
                yield from _violations(item, member, f"{path}.{number}.member")
        case "map":
            entries = _typed(value, dict, path)
            yield from _bound_violations(entries, len(entries), "length", shape, path)
            for key, item in entries.items():
                for _ in _violations(key, cast("Any", shape).key, path):
                    constraints = "; ".join(_constraints(cast("Any", shape).key))
                    yield _violation(
                        entries, path, f"Map keys must satisfy constraint: [{constraints}]"
                    )
                yield from _violations(item, cast("Any", shape).value, f"{path}.{key}.member")
        case "string":
            text = _typed(value, str, path)
            yield from _bound_violations(text, len(text), "length", shape, path)
            yield from _text_violations(text, shape, path)
        case "boolean":
            _typed(value, bool, path)
        case "integer" | "long" | "float" | "double" | "timestamp":
            yield from _number_violations(value, shape, path)
        case _:
            raise AssertionError(shape.type_name)


def _structure_violations(value: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    structure = cast("Any", shape)
    for name in value:
        if name not in structure.members:
            location = f" in '{path}'" if path else ""
            yield f"Unknown member '{name}'{location}: it is not in the service's model"
    for name, member in structure.members.items():
        at = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        if value.get(name) is not None:
            yield from _violations(value[name], member, at)
        elif name in structure.required_members:
            yield _violation(None, at, "Member must not be null")


def _text_violations(text: str, shape: Shape, path: str) -> Iterator[str]:
    import regex

    pattern = shape.metadata.get("pattern")
    if pattern and not regex.fullmatch(pattern, text):
        yield _violation(text, path, f"Member must satisfy regular expression pattern: {pattern}")
    allowed = shape.metadata.get("enum")
    if allowed and text not in allowed:
        yield _violation(text, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


def _number_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    is_integer = shape.type_name in {"integer", "long"}
    if isinstance(value, bool) or not isinstance(value, int if is_integer else int | float):
        kind = "Date" if shape.type_name == "timestamp" else _KINDS[shape.type_name]
        raise _wrong_type(value, kind, path)
    yield from _bound_violations(value, value, "value", shape, path)


def _bound_violations(value: Any, size: float, what: str, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield _violation(value, path, f"Member must have {what} greater than or equal to {low}")
    if high is not None and size > high:
        yield _violation(value, path, f"Member must have {what} less than or equal to {high}")


def _constraints(shape: Shape) -> Iterator[str]:
    if "max" in shape.metadata:
        yield f"Member must have length less than or equal to {shape.metadata['max']}"
    if "min" in shape.metadata:
        yield f"Member must have length greater than or equal to {shape.metadata['min']}"
    if "pattern" in shape.metadata:
        yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def _violation(value: Any, path: str, constraint: str) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if value is not None:
        text = f"'{text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'}'"
    return f"Value {text} at '{path}' failed to satisfy constraint: {constraint}"


def _typed(value: Any, kind: type[Any], path: str) -> Any:
    if not isinstance(value, kind):
        names: dict[type[Any], str] = {dict: "Map", list: "List", str: "String", bool: "Boolean"}
        raise _wrong_type(value, names[kind], path)
    return value


def _wrong_type(value: Any, kind: str, path: str) -> ServiceError:
    where = f" (at '{path}')" if path else ""
    if isinstance(value, dict):
        message = f"Start of structure or map found where not expected.{where}"
    elif isinstance(value, list):
        message = f"Start of list found where not expected{where}"
    else:
        what = (
            f"{str(value).upper()}_VALUE"
            if isinstance(value, bool)
            else "STRING_VALUE"
            if isinstance(value, str)
            else "NUMBER_VALUE"
        )
        message = f"{what} can not be converted to a {kind}{where}"
    return ServiceError("SerializationException", message)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {key: _without_nulls(item) for key, item in entries if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast("list[object]", value)]
    return value


def _plain(value: Any, shape: Shape) -> Any:
    match shape.type_name:
        case "structure":
            members = cast("Any", shape).members
            unknown = set(value) - set(members)
            assert not unknown, f"{shape.name} has no {unknown}"
            return {n: _plain(v, members[n]) for n, v in value.items() if v is not None}
        case "list":
            return [_plain(item, cast("Any", shape).member) for item in value]
        case "map":
            return {k: _plain(item, cast("Any", shape).value) for k, item in value.items()}
        case "timestamp":
            return round(value, 3)
        case _:
            return value
