"""What emulators of REST APIs read of a request, what carries it out, and answers in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import parse_qsl

from cloudtune.emulator_kit.app import Response, Route

if TYPE_CHECKING:
    from typing import Self

    from _typeshed.wsgi import WSGIEnvironment

OperationsT = TypeVar("OperationsT")
CallT = TypeVar("CallT")
CarryOut = Callable[[OperationsT, CallT], Response]


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


@dataclass(frozen=True)
class Operation(Route):
    """A route, and what carries it out: a method of the emulator's operations."""

    carry_out: Callable[[Any, Any], Response]
    right: str = ""
    """The right that it needs; empty for none."""


def operation(
    method: str, path: str, right: str = "", *, name: str = ""
) -> Callable[[CarryOut[OperationsT, CallT]], CarryOut[OperationsT, CallT]]:
    """Make a method carry out the calls of a route, under its own name in camel case by default."""

    def mark(function: CarryOut[OperationsT, CallT]) -> CarryOut[OperationsT, CallT]:
        own_name = "".join(word.capitalize() for word in function.__name__.split("_"))
        marked: dict[str, Operation] = vars(function).setdefault("operations", {})
        marked[name or own_name] = Operation(method, path, function, right)
        return function

    return mark


def operations_of(kind: type) -> dict[str, Operation]:
    """Return the operations of a class by name, in the order in which paths are compared."""
    methods = vars(kind).values()
    return {name: each for m in methods for name, each in getattr(m, "operations", {}).items()}
