"""The emulator's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cloudtune.emulator_kit import CERTIFICATE, App, Delays, FaultPlan, Response, find_operation
from cloudtune_watson.emulator.errors import (
    ServiceError,
    denied,
    exhausted,
    expired,
    throttled,
    timed_out,
    unable,
    unauthorized,
    unavailable,
    unimplemented,
    unknown_key,
)
from cloudtune_watson.emulator.keys import IAM, Keys
from cloudtune_watson.emulator.operations import OPERATIONS, Operations
from cloudtune_watson.emulator.wire import path_of, read_call

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class WatsonApp(App):
    """The application for IBM's services."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": exhausted,
        "error": unavailable,
        "late_error": timed_out,
        "expire": expired,
    }

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        self._certificate = folder / CERTIFICATE
        self._keys = Keys(key, url)
        self._operations = Operations(folder, delays, faults, self._keys)
        super().__init__(self._operations)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request has as a token, a password or a signature."""
        return self._keys.find(environ)

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal; IAM's is not 401."""
        if path_of(environ) == IAM:
            return unknown_key(reason)
        return unauthorized(reason).response()

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal that is not about a key, since clients sign in again after that."""
        return unable(reason).response()

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation that the user may not use."""
        return denied(operation)

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables that lead to the emulator.

        IBM's two packages read the last two when they are imported, and trust that file then. The
        others are for code that creates a client.
        """
        return {
            "WATSON_EMULATOR_URL": url,
            "WATSON_EMULATOR_KEY": key,
            "WATSON_EMULATOR_CERTIFICATE": str(self._certificate),
            "WX_CLIENT_VERIFY_REQUESTS": str(self._certificate),
            "WML_CLIENT_VERIFY_REQUESTS": str(self._certificate),
        }

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse it.
        """
        method, path = environ["REQUEST_METHOD"], path_of(environ)
        found = find_operation(OPERATIONS, method, path)
        if found is None:
            raise unimplemented(f"This emulator does not have {method} {path[:300]}.")
        name, _, names = found
        self.calls.add("client", name)
        with closing(read_call(environ, names)) as call:
            return self.carry_out(name, lambda: self._operations.carry_out(name, call))
