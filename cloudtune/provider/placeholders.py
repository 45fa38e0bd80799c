"""Placeholders: texts in the request of a plan that each start of a trial replaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def fill_placeholders(part: Any, replacements: Mapping[str, str]) -> Any:
    """Return a copy of a part of a request with all placeholders replaced."""
    if isinstance(part, dict):
        fields = cast("Mapping[str, Any]", part)
        return {name: fill_placeholders(field, replacements) for name, field in fields.items()}
    if isinstance(part, list):
        return [fill_placeholders(item, replacements) for item in cast("Sequence[Any]", part)]
    if isinstance(part, str):
        for placeholder, text in replacements.items():
            part = part.replace(placeholder, text)
    return part
