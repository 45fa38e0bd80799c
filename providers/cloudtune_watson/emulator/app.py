"""The emulator's door and protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulation.process import CERTIFICATE
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.server import carried_out
from cloudtune_watson.emulator.errors import (
    ServiceError,
    exhausted,
    not_here,
    throttled,
    too_late,
    unauthorized,
    unavailable,
)
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.operations import OPERATIONS, Operation, Operations
from cloudtune_watson.emulator.wire import JSON, Answer, path_of, read

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


_FAULTS: Mapping[str, Callable[[], ServiceError]] = {
    "throttle": throttled,
    "quota": exhausted,
    "error": unavailable,
    "late_error": too_late,
}


class Watson:
    """IBM's services as the emulator has them; an `Emulation`."""

    def __init__(
        self, folder: Path, delays: Delays, faults: FaultPlan, _url: str, key: str
    ) -> None:
        self._certificate = folder / CERTIFICATE
        self._keys = Keys(key)
        self._operations = Operations(folder, delays, faults, self._keys)
        self._faults = faults

    @property
    def app(self) -> WSGIApplication:
        """Answers the requests that were let in."""
        return self._answer

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request shows, as a token, a password or a signed address."""
        return self._keys.of(environ)

    def refuse(self, environ: WSGIEnvironment, why: str) -> tuple[str, str, bytes]:
        """Return a refusal."""
        return "401 Unauthorized", JSON, unauthorized(why).body()

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables that lead to the emulator.

        IBM's two packages read the last two when they are imported, and trust that file then. The
        others are for whoever makes a client.
        """
        return {
            "WATSON_EMULATOR_URL": url,
            "WATSON_EMULATOR_KEY": key,
            "WATSON_EMULATOR_CERTIFICATE": str(self._certificate),
            "WX_CLIENT_VERIFY_REQUESTS": str(self._certificate),
            "WML_CLIENT_VERIFY_REQUESTS": str(self._certificate),
        }

    def busy(self) -> bool:
        """Tell whether a job runs."""
        return self._operations.busy()

    def close(self) -> None:
        """End everything that runs."""
        self._operations.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._carried_out(environ)
        except ServiceError as error:
            answer = Answer(error.status, error.body())
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
        headers = [("Content-Length", str(len(body))), *answer.headers]
        if body:
            headers.append(("Content-Type", answer.kind))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [body]

    def _carried_out(self, environ: WSGIEnvironment) -> Answer:
        method, path = environ["REQUEST_METHOD"], path_of(environ)
        name, operation, named = _operation(method, path)
        fault = self._faults.of_call(name)
        with closing(read(environ, named)) as call:
            return carried_out(fault, lambda: self._operations.carry_out(operation, call), _FAULTS)


def _operation(method: str, path: str) -> tuple[str, Operation, Mapping[str, str]]:
    """Return what a request asks for: its name, itself, and what the path names.

    Raises:
        ServiceError: If the emulator does not have it.
    """
    for name, operation in OPERATIONS.items():
        found = operation.pattern.fullmatch(path) if operation.method == method else None
        if found is not None:
            return name, operation, found.groupdict()
    raise not_here(f"This emulator does not have {method} {path[:300]}.")
