"""A call to the emulator, as its operations see it, and their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_watson.emulator.errors import WRONG_SHAPE, ServiceError, invalid

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON = "application/json"
MOST = 64 * 1024 * 1024
"""Bytes of a JSON document."""


@dataclass(frozen=True)
class Upload:
    """A file that came with a call."""

    name: str
    content: IO[bytes]


@dataclass(frozen=True)
class Call:
    """One call."""

    named: Mapping[str, str]
    """The parts of the path that name something."""
    query: Mapping[str, Sequence[str]]
    body: bytes = b""
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    """The fields of a form, where the call has one."""
    files: Mapping[str, Upload] = field(default_factory=dict[str, Upload])

    def one(self, name: str, otherwise: str | None = None) -> str | None:
        """Return the value of a query's parameter; the last one counts."""
        values = self.query.get(name)
        return values[-1] if values else otherwise

    def close(self) -> None:
        """Let go of the files."""
        for upload in self.files.values():
            upload.content.close()

    def json(self) -> Any:
        """Return the body's document.

        Raises:
            ServiceError: If it is none.
        """
        return parsed(self.body)


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes = b""
    kind: str = JSON
    headers: Sequence[tuple[str, str]] = ()


def said(document: Any, status: int = 200) -> Answer:
    """Return a document as an answer."""
    return Answer(status, json.dumps(document).encode())


def parsed(text: bytes | str) -> Any:
    """Return a document that a client sent.

    Raises:
        ServiceError: If it is none, or has texts that no file and no process can be given.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ServiceError(400, WRONG_SHAPE, f"The document is not valid JSON: {error}") from error
    for value in _texts(found):
        if "\0" in value or not _is_unicode(value):
            raise invalid("A text has a character that is not allowed.")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _texts(document: Any) -> Iterator[str]:
    left: list[Any] = [document]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif is_map(value):
            left.extend(value.keys())
            left.extend(value.values())
        elif is_list(value):
            left.extend(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def path_of(environ: WSGIEnvironment) -> str:
    """Return the path of a call, its percent signs still in place."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return "/" + raw.partition("?")[0].lstrip("/")


def read(environ: WSGIEnvironment, named: Mapping[str, str]) -> Call:
    """Return the call that a request is; what it brings is read to its end.

    Args:
        environ: The request.
        named: The parts of its path that name something, as they stand in it.

    Raises:
        ServiceError: If it cannot be read.
    """
    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Request

    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    parts = {name: unquote(value) for name, value in named.items()}
    if any("\0" in text or not _is_unicode(text) for text in parts.values()):
        raise invalid("The path has a character that is not allowed.")
    request = Request(environ)
    try:
        if request.mimetype != "multipart/form-data":
            return Call(parts, query, request.get_data())
        files = {
            name: Upload(file.filename or "", file.stream) for name, file in request.files.items()
        }
        return Call(parts, query, form=dict(request.form.items()), files=files)
    except (HTTPException, ValueError, OSError) as error:
        raise invalid(f"The request cannot be read: {error}") from error
