"""The emulator's protocol: the dashboard's HTTP API with token authentication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from cloudtune.emulator_kit import (
    App,
    Call,
    Delays,
    FaultPlan,
    Response,
    bearer_token,
    find_operation,
    request_path,
)
from cloudtune_ray.emulator.errors import (
    ServiceError,
    forbidden,
    no_agent,
    not_found,
    throttled,
    timed_out,
    unauthorized,
    unavailable,
)
from cloudtune_ray.emulator.operations import OPERATIONS, Operations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class RayApp(App):
    """The application for Ray's dashboard."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": no_agent,
        "error": unavailable,
        "late_error": timed_out,
        "expire": forbidden,
    }

    def __init__(
        self, folder: Path, delays: Delays, faults: FaultPlan, _url: str, _key: str
    ) -> None:
        self._operations = Operations(folder, delays, faults)
        super().__init__(self._operations)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the token of a request."""
        return bearer_token(environ)

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal."""
        has_key = self.key_of(environ) is not None
        return (forbidden() if has_key else unauthorized()).response()

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal because of this machine."""
        return ServiceError(507, reason).response()

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation."""
        return forbidden()

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables with which Ray's own command line reaches the emulator."""
        return {
            "RAY_API_SERVER_ADDRESS": url,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": key,
        }

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If Ray would refuse it.
        """
        path, method = request_path(environ), environ["REQUEST_METHOD"]
        found = find_operation(OPERATIONS, method, path)
        if found is None:
            raise not_found(f"404: Not Found ({json.dumps(f'{method} {path[:300]}')})")
        name, operation, names = found
        self.calls.add("client", name)
        call = Call.read(environ, path, {key: unquote(text) for key, text in names.items()})

        def respond() -> Response:
            with self._operations.context.lock:
                return operation.carry_out(self._operations, call)

        return self.carry_out(name, respond)
