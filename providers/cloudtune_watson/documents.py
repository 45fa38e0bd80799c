"""Reads parts of IBM's responses that may be absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from cloudtune_watson.errors import WatsonError

if TYPE_CHECKING:
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


def rows(document: Any, name: str) -> list[Json]:
    """Return the maps in a list of a document."""
    value: Any = part({"document": document}, "document").get(name)
    items = cast("Sequence[Any]", value) if isinstance(value, list) else ()
    return [cast("Json", item) for item in items if isinstance(item, dict)]


def name_of(resource: Json) -> str:
    """Return the name of a job or deployment; empty if it has none."""
    name: Any = part(resource, "metadata").get("name")
    return str(name or part(resource, "entity").get("name") or "")


def created_at(resource: Json) -> str:
    """Return when a job or deployment was created, as IBM writes it; empty if unknown."""
    return str(part(resource, "metadata").get("created_at") or "")


def read_text(document: Json, *path: str) -> str:
    """Return a text of a document.

    Raises:
        WatsonError: If the document does not have it.
    """
    value = part(document, *path[:-1]).get(path[-1])
    if not isinstance(value, str) or not value:
        raise WatsonError(f"a response of IBM has no {'.'.join(path)}")
    return value


def job_of(document: Any) -> Json:
    """Return the description of a job or a training.

    Raises:
        WatsonError: If it has no id, so that it is no such description.
    """
    job = part({"job": document}, "job")
    read_text(job, "metadata", "id")
    return job
