"""Checks a part of ``native`` against the fields that IBM describes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from cloudtune.provider import Finding, Note, did_you_mean
from cloudtune_watson.request_fields import PROTECTED_PATHS
from cloudtune_watson.settings import SETTINGS

NATIVE = f"{SETTINGS}.native"
Fields = Mapping[str, Any]
"""The fields of a map by name: None for a value, fields for a map, a list of fields for a list."""

DATA_REFERENCE: Fields = dict.fromkeys(("type", "name", "connection", "location", "id", "schema"))
PROTECTED = frozenset(path for path in PROTECTED_PATHS if "." not in path) | {"deployment"}
"""Fields of jobs and trainings that the core refuses to replace."""


def not_sent(key: str, fields: Fields, reason: str) -> Finding:
    """Return the finding that a field is not sent."""
    suggestion = did_you_mean(key, fields)
    text = f"{reason}; {suggestion}" if suggestion else reason
    return Finding("refused", f"{NATIVE}.{key}", text)


def check_fields(value: Any, fields: Any, path: str) -> Iterator[Finding | Note]:
    """Yield the fields of a value at a path that IBM does not describe."""
    if fields is None or value is None:
        return
    if isinstance(fields, list):
        if not isinstance(value, list):
            yield Finding("refused", path, "must be a list")
            return
        for index, item in enumerate(cast("list[object]", value)):
            yield from check_fields(item, fields[0], f"{path}.{index}")
        return
    if not isinstance(value, Mapping):
        yield Finding("refused", path, "must be a map")
        return
    for key, inner in cast("Mapping[str, Any]", value).items():
        if key in fields:
            yield from check_fields(inner, fields[key], f"{path}.{key}")
        else:
            yield unknown_field(key, fields, f"{path}.{key}")


def unknown_field(name: str, known: Collection[str], path: str) -> Finding | Note:
    """Return what is said of a field that IBM does not describe."""
    suggestion = did_you_mean(name, known)
    if suggestion:
        return Finding("refused", path, f"unknown field; {suggestion}")
    return Note(path, "not described by IBM: sent unchanged")
