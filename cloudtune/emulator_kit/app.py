"""Answers the requests that reach an emulator: the fault, the operation, the error as bytes."""

from __future__ import annotations

import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.image import create_folder
from cloudtune.emulator_kit.script_jobs import ScriptJobs
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


JobsT = TypeVar("JobsT", bound=ScriptJobs[Any, Any, Any])
TunerT = TypeVar("TunerT", bound=Tuner)


class ServiceError(Exception):
    """An error of the service; each service has its own form."""

    def response(self) -> Response:
        """Return the response that tells the client."""
        raise NotImplementedError


class ConnectionLost(ConnectionError):  # noqa: N818 - named for what the client sees
    """Raised by an application to close the connection without a response."""


@dataclass(frozen=True)
class Context(Generic[JobsT]):
    """What the operations of an emulator work with."""

    folder: Path
    delays: Delays
    faults: FaultPlan
    jobs: JobsT
    """Runs the scripts."""
    lock: threading.RLock
    """Held while a job changes."""

    def job_folder(self, *names: str) -> Path:
        """Create the empty folder of a job and return it."""
        return create_folder(self.folder.joinpath("jobs", *names))


class Operations(Generic[JobsT, TunerT]):
    """The operations of a service, with the jobs that they start."""

    def __init__(self, context: Context[JobsT]) -> None:
        self.context = context
        self.tuners: dict[str, TunerT] = {}
        """The tuner of each tuning job, by an id of the job."""

    def busy(self) -> bool:
        """Return whether any job runs."""
        tuners = list(self.tuners.values())
        return self.context.jobs.busy() or any(tuner.busy() for tuner in tuners)

    def close(self) -> None:
        """End everything at once."""
        self.context.jobs.close()


class App(ABC):
    """The WSGI application of an emulator; an `Emulation`."""

    FAULTS: ClassVar[Mapping[str, Callable[[], ServiceError]]]
    """The service's errors by the effects ``throttle``, ``quota``, ``error`` and ``late_error``."""

    def __init__(self, operations: Operations[Any, Any]) -> None:
        self._faults = operations.context.faults
        self.busy = operations.busy
        self.close = operations.close

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
