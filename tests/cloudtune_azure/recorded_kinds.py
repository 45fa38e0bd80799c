"""The types of the fields that the recordings here have of Azure, by the kind of the resource.

A job that a recording does not create is created from its own first answer, whose fields the
emulator returns. So the types of those are compared with other recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map
from tests import recorded

Kinds = dict[tuple[str, str], set[str]]
"""The types of each field, by the kind of its resource and its path."""


def odd(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of an answer that all recordings here have in another type."""
    resource = _resource(item)
    for path, kind in _fields(item["answer"]):
        known = _known().get((resource, path), set[str]())
        if known and kind not in known:
            yield f"{path}: {kind}, not {' or '.join(sorted(known))}"


@cache
def _known() -> Kinds:
    found: Kinds = {}
    for file in sorted((recorded.OWN / "azure").glob("*.json")):
        for item in recorded.read(file)["sequence"]:
            for path, kind in _fields(item["answer"]):
                found.setdefault((_resource(item), path), set()).add(kind)
    return found


def _resource(item: Mapping[str, Any]) -> str:
    """Return the kind of resource that an answer describes, such as that of sweeps."""
    properties: dict[str, Any] = item["answer"].get("properties") or {}
    kind = properties.get("jobType", "")
    return f"{item['operation'].partition(' ')[2]} {kind} {item['status'] < 300}"


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the paths of the fields that are set, with their types."""
    if path == ".properties.searchSpace":  # its fields are named and typed by users
        yield path, "dict"
    elif is_map(value):
        for key, each in value.items():
            yield from _fields(each, f"{path}.{key}")
    elif is_list(value):
        for each in value:
            yield from _fields(each, f"{path}[]")
    if path and value is not None:
        yield path, type(value).__name__
