"""Checks that an answer of a service has the fields that its reader needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

Types = type | tuple[type, ...]
Fields = Mapping[str, Types]
"""The types of fields by path. ``[]`` is each item of a list; with ``?``, null or none is fine."""
_WORDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
}


def problem(answer: Any, fields: Fields, what: str = "the response") -> str:
    """Return the first field that is missing or has another type; empty if there is none.

    ``what`` names the answer in the text.

    Example:
        >>> problem({"trials": [{"id": "1"}, {}]}, {"trials[]?.id": str})
        'the response has no trials[].id'
        >>> problem({"trials": None}, {"trials[]?.id": str})
        ''
        >>> problem({"trials": [{"id": True}]}, {"trials[]?.id": (str, int)})
        'trials[].id is True, and not a text or a number'
    """
    if not is_map(answer):
        return f"{what} is not an object"
    found = (
        each for path, types in fields.items() for each in _problems(answer, path, types, "", what)
    )
    return next(found, "")


def _problems(value: Any, path: str, types: Types, above: str, what: str) -> Iterator[str]:
    if not is_map(value):
        yield _wrong(value, dict, above)
        return
    name, _, rest = path.partition(".")
    place = above + ("." if above else "") + name.removesuffix("?")
    known = name.removesuffix("?").removesuffix("[]")
    field = value.get(known)
    entries: Any = field if place.endswith("[]") else [field]
    if field is None:
        if not name.endswith("?"):
            yield f"{what} has no {place}"
    elif not is_list(entries):
        yield _wrong(field, list, place.removesuffix("[]"))
    else:
        for item in entries:
            if rest:
                yield from _problems(item, rest, types, place, what)
            elif not isinstance(item, types) or (isinstance(item, bool) and types is not bool):
                yield _wrong(item, types, place)


def _wrong(value: Any, types: Types, place: str) -> str:
    kinds = types if isinstance(types, tuple) else (types,)
    words = " or ".join(dict.fromkeys(_WORDS.get(kind, kind.__name__) for kind in kinds))
    return f"{place} is {value!r:.80}, and not {words}"
