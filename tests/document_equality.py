"""Whether two documents of a tool mean the same; shares no code with what writes them.

The permitted equalities are data: `Equalities`. A path is dotted; in a pattern, ``*`` is any one
part, and ``**`` any number of them. Entries of a list have their identity as a part of the path, or
their position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeGuard


@dataclass(frozen=True)
class Equalities:
    """What is equal in the documents of a tool, beyond the order of keys."""

    identities: Mapping[str, str] = field(default_factory=dict[str, str])
    """By pattern of a list whose order does not count, the key that identifies an entry."""
    unordered: Sequence[str] = ()
    """The lists of plain values whose order does not count."""
    numbers: Sequence[str] = ()
    """The values that are numbers, also if they are written as text."""
    defaults: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    """By pattern, the values that equal an absent one."""
    ignored: Sequence[str] = ()
    """The fields that do not count."""
    markers: Sequence[str] = ()
    """The maps that count even if they are empty."""


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


@cache
def matches(path: str, pattern: str) -> bool:
    """Return whether a path matches; remembered, since a test compares many similar documents."""
    parts = [
        re.escape(part).replace(r"\*\*", ".*").replace(r"\*", "[^.]*")
        for part in pattern.split(".")
    ]
    return re.fullmatch(r"\.".join(parts), path) is not None


def any_match(path: str, patterns: Sequence[str]) -> bool:
    return any(matches(path, each) for each in patterns)


def differences(left: Any, right: Any, equal: Equalities) -> list[str]:
    """Return the paths at which two documents differ in meaning, with both values."""
    one, other = dict(leaves(left, equal)), dict(leaves(right, equal))
    return [
        f"{path}: {one.get(path, 'absent')} and {other.get(path, 'absent')}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def leaves(value: Any, equal: Equalities, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value that counts, with its path, as text that tells its type, too."""
    if any_match(path, equal.ignored) or value is None:
        return
    if is_map(value):
        if not value and any_match(path, equal.markers):
            yield path, "{}"
        for key, inner in value.items():
            yield from leaves(inner, equal, join(path, key))
    elif is_list(value):
        identity = next((k for p, k in equal.identities.items() if matches(path, p)), None)
        if identity is not None:
            for index, entry in enumerate(value):
                yield from leaves(entry, equal, join(path, str(entry.get(identity, index))))
        elif any_match(path, equal.unordered):
            scalars = [scalar(join(path, "0"), each, equal) for each in value]
            for index, text in enumerate(sorted(scalars)):
                yield join(path, str(index)), text
        else:
            for index, entry in enumerate(value):
                yield from leaves(entry, equal, join(path, str(index)))
    elif not any(
        type(value) is type(each) and value == each
        for pattern, values in equal.defaults.items()
        if matches(path, pattern)
        for each in values
    ):
        yield path, scalar(path, value, equal)


def scalar(path: str, value: Any, equal: Equalities) -> str:
    if any_match(path, equal.numbers) and not isinstance(value, bool):
        try:
            return f"number {float(value)!r}"
        except ValueError:
            pass
    return f"{type(value).__name__} {json.dumps(value, default=str)}"


def join(path: str, key: str) -> str:
    key = key.replace(".", "\N{MIDDLE DOT}")
    return f"{path}.{key}" if path else key


def changes(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield a document once with each leaf changed, and once with each one deleted.

    Each comes with the path, in which entries of lists are positions, and the kind of the change.
    """
    for keys, leaf in _leaf_keys(value, ()):
        where = ".".join(map(str, keys))
        yield where, "changed", _replaced(value, keys, _other(leaf))
        yield where, "deleted", _deleted(value, keys)


def _leaf_keys(
    value: Any, keys: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items: Sequence[tuple[str | int, Any]] = ()
    if is_map(value):
        items = list(value.items())
    elif is_list(value):
        items = list(enumerate(value))
    else:
        yield keys, value
    for key, inner in items:
        yield from _leaf_keys(inner, (*keys, key))


def _other(leaf: Any) -> Any:
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, int | float):
        return leaf + 1
    text = str(leaf)
    try:
        return str(int(text) + 1)
    except ValueError:
        return f"{text}x"


def _replaced(value: Any, keys: Sequence[str | int], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = new
    return copy


def _deleted(value: Any, keys: Sequence[str | int]) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return copy
