"""What emulators of REST APIs read of a request, and how they answer with JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qsl

from cloudtune.emulator_kit.app import Response

if TYPE_CHECKING:
    from typing import Self

    from _typeshed.wsgi import WSGIEnvironment


def json_response(
    document: Any,
    status: int = 200,
    content_type: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
) -> Response:
    """Return a document as a response."""
    return Response(status, json.dumps(document).encode(), content_type, headers)


def request_path(environ: WSGIEnvironment) -> str:
    """Return the path of a request, still percent-encoded."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return raw.partition("?")[0]


@dataclass(frozen=True)
class Call:
    """A call of an operation."""

    path: str
    names: Mapping[str, str]
    """The names in the path."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By their names in lower case."""
    stream: BinaryIO
    length: int

    @classmethod
    def read(cls, environ: WSGIEnvironment, path: str, names: Mapping[str, str]) -> Self:
        """Return the call of a request, whose body is read when it is first used."""
        headers = {
            key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return cls(path, names, query, headers, environ["wsgi.input"], length)

    @cached_property
    def body(self) -> bytes:
        """The body."""
        return self.stream.read(self.length) if self.length else b""
