"""Sends all HTTP requests to a cluster, with the standard library.

It verifies the cluster's certificate, follows no redirects, so that the token reaches only the
address in the settings, and bounds what it reads. Emulated runs use no proxy.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune.provider import EmulatorEndedError
from cloudtune_ray.errors import PROVIDER, RayError, connection_error, service_error

TIMEOUT = 60.0
"""Seconds to wait for the next part of a response."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes of a response that are read."""


@dataclass(frozen=True)
class Connection:
    """The address of a cluster and its token."""

    address: str
    token: str = ""
    certificate: Path | None = None
    emulated: bool = False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - as in the base class
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any
    ) -> None:
        return None


class HttpClient:
    """Sends requests, and translates errors into `RayError`."""

    def __init__(self, connection: Connection) -> None:
        """Create a client without sending a request.

        Raises:
            RayError: If the certificate cannot be read.
        """
        self.connection = connection
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if connection.emulated:
            handlers.append(urllib.request.ProxyHandler({}))
        if connection.address.startswith("https://"):
            try:
                context = ssl.create_default_context(cafile=connection.certificate)
            except OSError as error:
                message = f"cannot read the certificate {connection.certificate}: {error}"
                raise RayError(message, affects_all_calls=True) from error
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> Any:
        """Return the JSON content of a resource."""
        return _parse(f"GET {path}", self.send("GET", path))

    def post(self, path: str, content: Any = None) -> Any:
        """Post JSON, and return the JSON content of the response."""
        body = b"" if content is None else json.dumps(content).encode()
        return _parse(f"POST {path}", self.send("POST", path, body, "application/json"))

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/octet-stream",
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """Send a request and return the body of the response, cut after ``max_bytes``.

        Raises:
            RayError: If there is no response, or it is an error.
            EmulatorEndedError: If the emulator is no longer running.
        """
        operation = f"{method} {path.partition('?')[0]}"
        request = urllib.request.Request(  # noqa: S310 - the rules allow only http and https
            self.connection.address + path, data=body, method=method
        )
        if body is not None:
            request.add_header("Content-Type", content_type)
        if self.connection.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.connection.token}")
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                content: bytes = response.read(max_bytes)
                return content
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(MAX_BYTES).decode("utf-8", "replace")
            if 300 <= error.code < 400:
                target = error.headers.get("Location", "elsewhere")
                message = f"{operation}: redirected to {target}: check providers.ray.address"
                raise RayError(message, code=error.code, affects_all_calls=True) from None
            raise service_error(operation, error.code, text) from None
        except (OSError, http.client.HTTPException) as error:
            if self.connection.emulated and "Connection refused" in str(error):
                raise EmulatorEndedError(PROVIDER, operation) from error
            raise connection_error(operation, self.connection.address, error) from error


def _parse(operation: str, content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError as error:
        message = f"{operation}: the response is not JSON: check providers.ray.address"
        raise RayError(message, retryable=True) from error
