"""Reads the emulator's calls, checks their documents, and writes responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from cloudtune.emulator_kit import is_list, is_map, request_path
from cloudtune_watson.emulator.errors import (
    WRONG_SHAPE,
    WRONG_TYPE,
    ServiceError,
    invalid,
    malformed,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Upload:
    """A file of a form."""

    name: str
    content: IO[bytes]


@dataclass(frozen=True)
class Call:
    """A call of an operation."""

    names: Mapping[str, str]
    """The names in the path."""
    query: Mapping[str, Sequence[str]]
    body: bytes = b""
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    """The fields of a form."""
    files: Mapping[str, Upload] = field(default_factory=dict[str, Upload])

    def one(self, name: str, default: str | None = None) -> str | None:
        """Return the last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def close(self) -> None:
        """Close the files."""
        for upload in self.files.values():
            upload.content.close()

    def json(self) -> Any:
        """Return the body's document.

        Raises:
            ServiceError: If it is malformed.
        """
        return parse_json(self.body)


def parse_json(text: bytes | str) -> Any:
    """Return a document that a client sent.

    Raises:
        ServiceError: If it is malformed, or has strings that files and processes cannot have.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ServiceError(400, WRONG_SHAPE, f"The document is not valid JSON: {error}") from error
    for value in _strings(document):
        if "\0" in value or not _is_unicode(value):
            raise invalid("A text has a character that is not allowed.")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _strings(document: Any) -> Iterator[str]:
    remaining: list[Any] = [document]
    while remaining:
        value = remaining.pop()
        if isinstance(value, str):
            yield value
        elif is_map(value):
            remaining.extend(value.keys())
            remaining.extend(value.values())
        elif is_list(value):
            remaining.extend(value)


def _is_unicode(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()


def path_of(environ: WSGIEnvironment) -> str:
    """Return the path of a request, still percent-encoded."""
    return "/" + request_path(environ).lstrip("/")


def read_call(environ: WSGIEnvironment, names: Mapping[str, str]) -> Call:
    """Return the call of a request, whose body is read to its end.

    Args:
        environ: The request.
        names: The names in its path, still percent-encoded.

    Raises:
        ServiceError: If it is malformed.
    """
    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Request

    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    decoded = {name: unquote(value) for name, value in names.items()}
    if any("\0" in text or not _is_unicode(text) for text in decoded.values()):
        raise invalid("The path has a character that is not allowed.")
    request = Request(environ)
    request.max_form_memory_size = None  # the whole body is limited
    try:
        if request.mimetype != "multipart/form-data":
            return Call(decoded, query, request.get_data())
        files = {
            name: Upload(file.filename or "", file.stream) for name, file in request.files.items()
        }
        return Call(decoded, query, form=dict(request.form.items()), files=files)
    except (HTTPException, ValueError, OSError) as error:
        raise invalid(f"The request cannot be read: {error}") from error


Mistake = tuple[str, str]
"""A code and a message."""


@dataclass(frozen=True)
class Map:
    """A map with these keys and no others."""

    required: Mapping[str, Any] = field(default_factory=dict[str, Any])
    optional: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class ListOf:
    """A list of items with the same shape."""

    item: Any


@dataclass(frozen=True)
class OneOf:
    """One of some strings, ignoring case."""

    words: Sequence[str]


TEXT, WHOLE, NUMBER, FREE, ANY = "text", "whole number", "number", "map", "anything"
"""The other shapes; `FREE` has any keys."""


def demand(document: Any, shape: Any) -> None:
    """Refuse a document that does not have a shape.

    Raises:
        ServiceError: With all mistakes.
    """
    mistakes = list(_mistakes(document, shape, ""))
    if mistakes:
        raise malformed(mistakes)


def _mistakes(value: Any, shape: Any, path: str) -> Iterator[Mistake]:
    at = f"'{path}'" if path else "The document"
    if isinstance(shape, Map):
        if not is_map(value):
            yield WRONG_TYPE, f"{at} must be a map."
            return
        known = {**shape.required, **shape.optional}
        for name in shape.required.keys() - value.keys():
            yield WRONG_SHAPE, f"'{_join(path, name)}' is required."
        for name, entry in value.items():
            if name not in known:
                yield WRONG_SHAPE, f"'{_join(path, name)}' is not allowed."
            else:
                yield from _mistakes(entry, known[name], _join(path, name))
    elif isinstance(shape, ListOf):
        if not is_list(value):
            yield WRONG_TYPE, f"{at} must be a list."
            return
        for index, item in enumerate(value):
            yield from _mistakes(item, shape.item, f"{path}[{index}]")
    elif isinstance(shape, OneOf):
        if not isinstance(value, str):
            yield WRONG_TYPE, f"{at} must be a text."
        elif value.lower() not in {word.lower() for word in shape.words}:
            yield WRONG_SHAPE, f"{at} must be one of {', '.join(shape.words)}."
    elif not _TESTS[shape](value):
        yield WRONG_TYPE, f"{at} must be a {shape}."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def is_whole(value: Any) -> bool:
    """Return whether a value is a 64-bit integer."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_number(value: Any) -> bool:
    """Return whether a value is a 64-bit number."""
    return is_whole(value) or (isinstance(value, float) and abs(value) < 1e308)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_TESTS: Mapping[str, Callable[[Any], bool]] = {
    TEXT: _is_text,
    WHOLE: is_whole,
    NUMBER: is_number,
    FREE: is_map,
    ANY: lambda _value: True,
}
