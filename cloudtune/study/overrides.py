"""Words such as ``limits.max_trials=5`` that replace single fields of plain study data."""

from __future__ import annotations

from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.yaml_reader import is_list, is_map, parse

_SHORT = {"strategy": "name", "early_stopping": "rule"}
"""Blocks that may be written as one word, and the key that the word stands for."""
_NOTHING = {"", "null", "~"}
_ONE_OR_MANY = {"objective"}
"""Blocks that may be written as one map where a list can stand."""


def apply_override(word: str, data: dict[str, Any]) -> str:
    """Replace or add one field of a study, and return the field's path.

    The value is read as YAML; an empty one or null takes the field out. Where names have dots in
    them, the longest key that exists is meant.

    Raises:
        StudyError: If the word is not understood or its path leads nowhere.
    """
    told = f"--set {word}"
    path, equals, text = word.partition("=")
    if not equals or not path:
        raise StudyError([Problem("", "write it as path=value", file=told)])
    given = text.strip() not in _NOTHING
    value = _value(text, told) if given else None
    container, key, field = _reach(path.split("."), data, path, told)
    if given:
        container[key] = value
    elif is_list(container):
        raise StudyError([Problem(path, "an item of a list cannot be taken out", file=told)])
    else:
        container.pop(key, None)
    return field


def _value(text: str, told: str) -> Any:
    source = parse(text, told)
    if source.problems:
        raise StudyError(source.problems)
    return source.data


def _reach(words: list[str], data: Any, path: str, told: str) -> tuple[Any, str | int, str]:
    """Return the collection and the key that a path means, and the field's path in the data."""
    here: Any = data
    field = ""
    while True:
        key, words = _next_key(here, words)
        if _lacks(here, key):
            message = f"{field} is a list; name an item of it by its number, from 0"
            raise StudyError([Problem(path, message, file=told)])
        field = f"{field}.{key}" if field else str(key)
        if not words:
            return here, key, field
        inner: Any = _item(here, key)
        if field in _ONE_OR_MANY and is_map(inner) and words[0] == "0":
            words = words[1:]
            if not words:
                return here, key, field
        if inner is None:
            inner = {}
        elif field in _SHORT and isinstance(inner, str):
            inner = {_SHORT[field]: inner}
        elif not is_map(inner) and not is_list(inner):
            message = f"{field} is no map, so nothing can be set inside it"
            raise StudyError([Problem(path, message, file=told)])
        _put(here, key, inner)
        here = inner


def _next_key(here: Any, words: list[str]) -> tuple[str | int, list[str]]:
    if is_list(here):
        return (int(words[0]) if words[0].isdecimal() else words[0]), words[1:]
    for end in range(len(words), 0, -1):
        if ".".join(words[:end]) in here:
            return ".".join(words[:end]), words[end:]
    return words[0], words[1:]


def _lacks(container: Any, key: str | int) -> bool:
    return is_list(container) and not (isinstance(key, int) and key < len(container))


def _item(container: Any, key: Any) -> Any:
    return container[key] if is_list(container) else container.get(key)


def _put(container: Any, key: Any, value: Any) -> None:
    container[key] = value
