"""What documents of requests may hold, as data, and what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_watson.emulator.errors import WRONG_SHAPE, WRONG_TYPE, malformed

Wrong = tuple[str, str]
"""A code and a message."""


@dataclass(frozen=True)
class Map:
    """A map with these keys and no others."""

    required: Mapping[str, Any] = field(default_factory=dict[str, Any])
    optional: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class ListOf:
    """A list of things that are alike."""

    item: Any


@dataclass(frozen=True)
class OneOf:
    """One of some texts, in upper or lower case."""

    words: Sequence[str]


TEXT, WHOLE, NUMBER, FREE, ANY = "text", "whole number", "number", "map", "anything"
"""The other shapes. A map that is free has any keys."""


def demand(document: Any, shape: Any) -> None:
    """Refuse a document that does not have a shape.

    Raises:
        ServiceError: With everything that is wrong.
    """
    wrong = list(mistakes(document, shape, ""))
    if wrong:
        raise malformed(wrong)


def mistakes(value: Any, shape: Any, path: str) -> Iterator[Wrong]:
    """Yield what is wrong with a value."""
    at = f"'{path}'" if path else "The document"
    if isinstance(shape, Map):
        if not is_map(value):
            yield WRONG_TYPE, f"{at} must be a map."
            return
        known = {**shape.required, **shape.optional}
        for name in shape.required.keys() - value.keys():
            yield WRONG_SHAPE, f"'{_below(path, name)}' is required."
        for name, entry in value.items():
            if name not in known:
                yield WRONG_SHAPE, f"'{_below(path, name)}' is not allowed."
            else:
                yield from mistakes(entry, known[name], _below(path, name))
    elif isinstance(shape, ListOf):
        if not is_list(value):
            yield WRONG_TYPE, f"{at} must be a list."
            return
        for place, item in enumerate(value):
            yield from mistakes(item, shape.item, f"{path}[{place}]")
    elif isinstance(shape, OneOf):
        if not isinstance(value, str):
            yield WRONG_TYPE, f"{at} must be a text."
        elif value.lower() not in {word.lower() for word in shape.words}:
            yield WRONG_SHAPE, f"{at} must be one of {', '.join(shape.words)}."
    elif not _IS[shape](value):
        yield WRONG_TYPE, f"{at} must be a {shape}."


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number that a machine can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_number(value: Any) -> bool:
    """Tell whether a value is a number that a machine can hold."""
    return is_whole(value) or (isinstance(value, float) and abs(value) < 1e308)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_IS: Mapping[str, Callable[[Any], bool]] = {
    TEXT: _is_text,
    WHOLE: is_whole,
    NUMBER: is_number,
    FREE: is_map,
    ANY: lambda _value: True,
}
