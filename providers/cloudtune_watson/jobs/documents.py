"""Reads parts of IBM's responses that may be absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from cloudtune.provider import Json


def part(document: Json | None, *path: str) -> Json:
    """Return the map at a path of a document; empty if it has none.

    Example:
        >>> part({"entity": {"status": {"state": "ready"}}}, "entity", "status")
        {'state': 'ready'}
        >>> part({"entity": None}, "entity", "status")
        {}
    """
    value: Any = document
    for name in path:
        value = cast("Json", value).get(name) if isinstance(value, dict) else None
    return cast("Json", value) if isinstance(value, dict) else {}


def rows(document: Json, name: str) -> list[Json]:
    """Return the maps in a list of a document."""
    value: Any = document.get(name)
    items = cast("Sequence[Any]", value) if isinstance(value, list) else ()
    return [cast("Json", item) for item in items if isinstance(item, dict)]


def name_of(resource: Json) -> str:
    """Return the name of a job or deployment; empty if it has none."""
    name: Any = part(resource, "metadata").get("name")
    return str(name or part(resource, "entity").get("name") or "")


def created_at(resource: Json) -> str:
    """Return when a job or deployment was created, as IBM writes it; empty if unknown."""
    return str(part(resource, "metadata").get("created_at") or "")
