"""Overrides such as ``limits.max_trials=5``, which replace single fields of a study."""

from __future__ import annotations

from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.yaml_reader import YamlSource, is_list, is_map, parse

_SHORT_FORMS = {"strategy": "name", "early_stopping": "rule"}
"""Blocks that have a short form, and the key that it sets."""
_NULLS = {"", "null", "~"}
_ONE_OR_MANY = {"objective"}
"""Blocks that are a map or a list of maps."""

_EXAMPLE = "for example limits.max_trials=60"


def apply_override(override: str, data: dict[str, Any]) -> str:
    """Replace or add one field of a study, and return the field's path.

    The value is read as YAML; an empty value or null removes the field. Where names contain dots,
    the longest key that exists is used.

    Raises:
        StudyError: If the override is malformed or its path does not exist.
    """
    source = f"--set {override}"
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise StudyError([Problem("", "must be of the form path=value", _EXAMPLE, file=source)])
    has_value = text.strip() not in _NULLS
    value = parse(text, source) if has_value else YamlSource(source)
    if value.problems:
        raise StudyError(value.problems)
    container, key, field = _find_field(path.split("."), data, path, source)
    if has_value:
        container[key] = value.data
    elif is_list(container):
        raise StudyError([Problem(path, "items of a list cannot be removed", file=source)])
    else:
        container.pop(key, None)
    return field


def _find_field(words: list[str], data: Any, path: str, source: str) -> tuple[Any, Any, str]:
    """Return the container and key of a field, and the field's path in the data."""
    container: Any = data
    field = ""
    while True:
        key, words = _next_key(container, words)
        if is_list(container) and key not in range(len(container)):
            message = f"{field} is a list; use the number of an item, counted from 0"
            raise StudyError([Problem(path, message, file=source)])
        field = f"{field}.{key}" if field else str(key)
        if not words:
            return container, key, field
        inner: Any = container.get(key) if is_map(container) else container[key]
        if field in _ONE_OR_MANY and is_map(inner) and words[0] == "0":
            words = words[1:]
            if not words:
                return container, key, field
        if inner is None:
            inner = {}
        elif field in _SHORT_FORMS and isinstance(inner, str):
            inner = {_SHORT_FORMS[field]: inner}
        elif not is_map(inner) and not is_list(inner):
            message = f"{field} is not a map, so it has no fields to set"
            raise StudyError([Problem(path, message, file=source)])
        container[key] = inner
        container = inner


def _next_key(container: Any, words: list[str]) -> tuple[Any, list[str]]:
    if is_list(container):
        return (int(words[0]) if words[0].isdecimal() else words[0]), words[1:]
    for end in range(len(words), 0, -1):
        if ".".join(words[:end]) in container:
            return ".".join(words[:end]), words[end:]
    return words[0], words[1:]
