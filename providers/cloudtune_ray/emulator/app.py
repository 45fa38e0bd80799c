"""The emulator's protocol: the dashboard's HTTP API with token authentication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote

from cloudtune.emulator_kit import App, Delays, FaultPlan, Response
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
from cloudtune_ray.emulator.operations import OPERATIONS, Call, Operation, Operations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SCHEME = "Bearer "


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
        header = str(environ.get("HTTP_AUTHORIZATION", ""))
        return header[len(_SCHEME) :] if header.startswith(_SCHEME) else None

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
        raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
        path, _, query = raw.partition("?")
        name, operation, names = _operation(environ["REQUEST_METHOD"], path)
        self.calls.add("client", name)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body: bytes = environ["wsgi.input"].read(length) if length else b""
        call = Call(names, dict(parse_qsl(query)), body)
        return self.carry_out(name, lambda: self._operations.carry_out(operation, call))


def _operation(method: str, path: str) -> tuple[str, Operation, Mapping[str, str]]:
    for name, operation in OPERATIONS.items():
        match = operation.pattern.fullmatch(path) if operation.method == method else None
        if match is not None:
            return name, operation, {key: unquote(text) for key, text in match.groupdict().items()}
    raise not_found(f"404: Not Found ({json.dumps(f'{method} {path[:300]}')})")
