"""Values of a study in messages about it."""

from __future__ import annotations

from typing import Any

_MAX_SHOWN = 60


def format_literal(value: bool | float | str) -> str:
    """Return a value as written in a study file, shortened if it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(truncate(value)) if isinstance(value, str) else truncate(repr(value))


def describe_value(value: Any) -> str:
    """Return a short description of a value, such as ``the string 'a'`` or ``a map``."""
    match value:
        case None:
            return "empty"
        case bool():
            return format_literal(value)
        case int() | float():
            return f"the number {format_literal(value)}"
        case str():
            return f"the string {format_literal(value)}"
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return type(value).__name__


def truncate(text: str) -> str:
    """Return a text, shortened if it is long."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
