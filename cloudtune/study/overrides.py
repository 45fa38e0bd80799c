"""Overrides such as ``limits.max_trials=5``, which replace single fields of a study."""

from __future__ import annotations

import shlex
from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.yaml_builder import YamlSource
from cloudtune.study.yaml_reader import is_list, is_map, parse

_SHORT_FORMS = {"strategy": "name", "early_stopping": "rule"}
"""Blocks that have a short form, and the key that it sets."""
_NULLS = {"", "null", "~"}
_ONE_OR_MANY = {"objective"}
"""Blocks that are a map or a list of maps."""

OPTION = "--set "
"""How the place of a problem starts that is in an override."""
_NEEDS_QUOTES = ("must be a string", "must be a regular expression")
"""How the message starts if YAML does not read a value as a string."""
_EXAMPLE = "for example limits.max_trials=60"


def apply_override(override: str, data: dict[str, Any]) -> str:
    """Replace or add one field of a study, and return the path of what was replaced or added.

    If the field's block is new, that is the block. The value is read as YAML; an empty value or
    null removes the field. Where names contain dots, the longest key that exists is used.

    Raises:
        StudyError: If the override is malformed or its path does not exist.
    """
    source = describe_override(override)
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise StudyError([Problem("", "must be of the form path=value", _EXAMPLE, file=source)])
    has_value = text.strip() not in _NULLS
    value = _parse_value(path, text, source) if has_value else YamlSource(source)
    container, key, field = _find_field(path.split("."), data, path, source)
    if has_value:
        container[key] = value.data
    elif is_list(container):
        raise StudyError([Problem(path, "items of a list cannot be removed", file=source)])
    else:
        container.pop(key, None)
    return field


def describe_override(override: str) -> str:
    """Return an override as the option of the command line, which takes the place of a file."""
    return f"{OPTION}{shlex.quote(override)}"


def located(problem: Problem, path: str, file: str | None, line: int | None) -> Problem:
    """Return a problem with its place; the hint for an override is also right for the shell."""
    hint = problem.hint
    if file and file.startswith(OPTION) and problem.message.startswith(_NEEDS_QUOTES):
        override = shlex.split(file)[1]
        hint = string_hint(override) if override.startswith(f"{path}=") else hint
    return Problem(path, problem.message, hint, file, line)


def string_hint(override: str) -> str:
    """Return how to write an override whose value is a string for both the shell and YAML."""
    path, _, text = override.partition("=")
    if set(text) & set("\"'$`!"):
        return "quote the value for YAML, and all of it for the shell"
    return f"write --set \"{path}='{text}'\""


def _parse_value(path: str, text: str, source: str) -> YamlSource:
    try:
        value = parse(text, source)
        problems = value.problems
    except StudyError as error:
        raise StudyError(
            [
                Problem(path, each.message, string_hint(f"{path}={text}"), source)
                for each in error.problems[-1:]
            ]
        ) from error
    if problems:
        raise StudyError([Problem(path, p.message, p.hint, source) for p in problems])
    return value


def _find_field(words: list[str], data: Any, path: str, source: str) -> tuple[Any, Any, str]:
    """Return the container and key of a field, and the path of the first new part of its path."""
    container: Any = data
    field, added = "", ""
    while True:
        key, words = _next_key(container, words)
        if is_list(container) and key not in range(len(container)):
            message = f"{field} is a list; use the number of an item, counted from 0"
            raise StudyError([Problem(path, message, file=source)])
        field = f"{field}.{key}" if field else str(key)
        if not words:
            return container, key, added or field
        inner: Any = container.get(key) if is_map(container) else container[key]
        if field in _ONE_OR_MANY and is_map(inner) and words[0] == "0":
            words = words[1:]
            if not words:
                return container, key, field
        if is_list(inner) and len(inner) == 1 and is_map(inner[0]) and not words[0].isdecimal():
            words = ["0", *words]  # a list of one map and the map alone mean the same
        if inner is None:
            inner, added = {}, added or field
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
