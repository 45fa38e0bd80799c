"""Answers the requests that reach an emulator: the fault, the operation, the error as bytes."""

from __future__ import annotations

import os
import re
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cloudtune.emulation.faults import Fault
from cloudtune.emulator_kit.script_jobs import Context, JobsT
from cloudtune.emulator_kit.tuner import Tuner

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True)
class Response:
    """A response to a request."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()

    def send(self, start_response: StartResponse) -> list[bytes]:
        """Send the response."""
        headers = [("Content-Length", str(len(self.body))), *self.headers]
        if self.body:
            headers.append(("Content-Type", self.content_type))
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", headers)
        return [self.body]


TunerT = TypeVar("TunerT", bound=Tuner[Any, Any])


class ServiceError(Exception):
    """An error of the service; each service has its own form."""

    def response(self) -> Response:
        """Return the response that tells the client."""
        raise NotImplementedError


class ConnectionLost(ConnectionError):  # noqa: N818 - named for what the client sees
    """Raised by an application to close the connection without a response."""


@dataclass(frozen=True)
class Route:
    """The method and the path of an operation of a REST API.

    ``{name}`` in the path is one part of it, ``{blob}`` and ``{*}`` are the rest of it.
    """

    method: str
    path: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of the path."""
        path = self.path.replace("{*}", "(?P<path>.*)").replace("{blob}", "(?P<blob>.+)")
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


RouteT = TypeVar("RouteT", bound=Route)


def find_operation(
    operations: Mapping[str, RouteT], method: str, path: str
) -> tuple[str, RouteT, dict[str, str]] | None:
    """Return the name of a request's operation, the operation, and the names in its path."""
    for name, operation in operations.items():
        match = operation.pattern.fullmatch(path) if operation.method == method else None
        if match is not None:
            return name, operation, match.groupdict()
    return None


def bearer_token(environ: WSGIEnvironment) -> str | None:
    """Return the token in the header of a request."""
    scheme, found, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition("Bearer ")
    return token if found and not scheme else None


class Operations(Generic[JobsT, TunerT]):
    """The operations of a service, with the jobs that they start."""

    def __init__(self, context: Context[JobsT]) -> None:
        self.context = context
        self.tuners: dict[str, TunerT] = {}
        """The tuner of each tuning job, by an id of the job."""

    def busy(self) -> bool:
        """Return whether any job runs."""
        return self.context.jobs.busy() or any(each.busy() for each in list(self.tuners.values()))

    def close(self) -> None:
        """End everything at once."""
        self.context.jobs.close()


class App(ABC):
    """The WSGI application of an emulator, which gets requests that show its key."""

    FAULTS: ClassVar[Mapping[str, Callable[[], ServiceError]]]
    """The service's errors by the effects ``throttle``, ``quota``, ``error``, ``late_error`` and
    ``expire``."""

    def __init__(self, operations: Operations[Any, Any]) -> None:
        self._faults = operations.context.faults
        self.calls = operations.context.calls
        self.busy = operations.busy
        self.close = operations.close

    @abstractmethod
    def denied(self, operation: str) -> ServiceError:
        """Return the service's error for an operation that the caller has no right to use."""

    @abstractmethod
    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request shows, wherever this service's clients put it."""

    @abstractmethod
    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal in the service's own form."""

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal because of this machine, after which clients do not call again.

        Args:
            environ: The request.
            reason: What the machine lacks, and what to do.
        """
        return self.refuse(environ, reason)

    @abstractmethod
    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables with which the service's own clients reach the emulator."""

    @abstractmethod
    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a request.

        Raises:
            ServiceError: If the service would refuse it.
        """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request that has shown the emulator's key."""
        try:
            response = self.respond(environ)
        except ServiceError as error:
            response = error.response()
        if environ["REQUEST_METHOD"] == "HEAD":
            response = replace(response, body=b"")
        return response.send(start_response)

    def carry_out(self, operation: str, respond: Callable[[], Response]) -> Response:
        """Return the response to a call, with the fault that the plan has for it.

        Args:
            operation: Its name in fault plans.
            respond: Carries it out.

        Raises:
            ConnectionLost: If the call is carried out and its response lost.
            ServiceError: If the plan has an error, or the service would refuse.
        """
        return self.respond_with(self._faults.next_call(operation), operation, respond)

    def respond_with(
        self, fault: Fault | None, operation: str, respond: Callable[[], Response]
    ) -> Response:
        """Return the response to a call that has a fault; otherwise as `carry_out`."""
        effect = fault.effect if fault else ""
        if effect == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if effect == "deny":
            raise self.denied(operation)
        if effect in self.FAULTS and effect != "late_error":
            raise self.FAULTS[effect]()
        response = respond()
        if effect == "lose_response":
            raise ConnectionLost("the fault plan loses this response")
        if effect == "late_error":
            raise self.FAULTS[effect]()
        return response
