"""Answers the requests that reach an emulator: the fault, the operation, the error as bytes."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Protocol

from cloudtune.emulation.faults import FaultPlan

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


class ServiceError(Exception):
    """An error of the service; each service has its own form."""

    def response(self) -> Response:
        """Return the response that tells the client."""
        raise NotImplementedError


class ConnectionLost(ConnectionError):  # noqa: N818 - named for what the client sees
    """Raised by an application to close the connection without a response."""


class Operations(Protocol):
    """What carries out the operations of a service."""

    def busy(self) -> bool:
        """Return whether any job runs."""
        ...

    def close(self) -> None:
        """End everything at once."""
        ...


class App(ABC):
    """The WSGI application of an emulator; an `Emulation`."""

    FAULTS: ClassVar[Mapping[str, Callable[[], ServiceError]]]
    """The service's errors by the effects ``throttle``, ``quota``, ``error`` and ``late_error``."""

    def __init__(self, operations: Operations, faults: FaultPlan) -> None:
        self._running = operations
        self._faults = faults

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

    def busy(self) -> bool:
        """Return whether any job runs."""
        return self._running.busy()

    def close(self) -> None:
        """End everything at once."""
        self._running.close()

    def carry_out(self, operation: str, respond: Callable[[], Response]) -> Response:
        """Return the response to a call, with the fault that the plan has for it.

        Args:
            operation: Its name in fault plans.
            respond: Carries it out.

        Raises:
            ConnectionLost: If the call is carried out and its response lost.
            ServiceError: If the plan has an error, or the service would refuse.
        """
        fault = self._faults.next_call(operation)
        effect = fault.effect if fault else ""
        if effect == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if effect in self.FAULTS and effect != "late_error":
            raise self.FAULTS[effect]()
        response = respond()
        if effect == "lose_response":
            raise ConnectionLost("the fault plan loses this response")
        if effect == "late_error":
            raise self.FAULTS[effect]()
        return response
