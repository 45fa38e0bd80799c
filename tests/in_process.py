"""Emulators in the process of the tests: their clients call them without a server between."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from cloudtune.emulation.faults import Fault, FaultPlan
from cloudtune.emulator_kit.app import App, ConnectionLost

URL, KEY = "https://127.0.0.1:9", "EMULATED"


class Faults(FaultPlan):
    """What goes wrong with calls, as the test sets it, and which calls there were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.next: dict[str, list[str]] = {}
        """The effects on the next calls of an operation."""
        self.always: dict[str, str] = {}
        """The effect on each call of an operation."""
        self.before: dict[str, Callable[[], None]] = {}
        """What happens before each call of an operation."""

    def next_call(self, operation: str, *, is_other: bool = False) -> Fault | None:
        del is_other
        self.calls.append(operation)
        self.before.get(operation, lambda: None)()
        if operation in self.always:
            return Fault(self.always[operation])
        effects = self.next.get(operation)
        return Fault(effects.pop(0)) if effects else None


class InProcess:
    """Sends requests of boto3 and of requests to an application."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.app: Any = None
        self._urllib3: Any = import_module("urllib3")
        self._patch = patch

    def serve_requests(self) -> None:
        """Answer what is sent with requests."""
        requests: Any = import_module("requests")

        def send(adapter: Any, request: Any, **_options: Any) -> Any:
            try:
                raw = self._answer(request.method, request.url, request.headers, request.body)
            except ConnectionLost as error:
                raise requests.ConnectionError(error) from error
            return adapter.build_response(request, raw)

        self._patch.setattr(requests.adapters.HTTPAdapter, "send", send)

    def serve_boto3(self) -> None:
        """Answer what is sent with botocore."""
        share_loader(self._patch)
        session: Any = import_module("botocore.httpsession")
        response: Any = import_module("botocore.awsrequest").AWSResponse
        lost: Any = import_module("botocore.exceptions").ConnectionClosedError

        def send(_session: Any, request: Any) -> Any:
            try:
                raw = self._answer(request.method, request.url, request.headers, request.body)
            except ConnectionLost as error:
                raise lost(endpoint_url=request.url) from error
            return response(request.url, raw.status, raw.headers, raw)

        self._patch.setattr(session.URLLib3Session, "send", send)
        limiter: Any = import_module("botocore.retries.adaptive").ClientRateLimiter
        self._patch.setattr(limiter, "on_sending_request", _do_nothing)

    def _answer(self, method: str, url: str, headers: Any, body: Any) -> Any:
        """Return the application's response, as urllib3 has it."""
        if hasattr(body, "read"):
            body = body.read()
        content: bytes = body.encode() if isinstance(body, str) else bytes(body or b"")
        parts = urlsplit(url)
        names = {name.replace("-", "_").upper(): _text(headers[name]) for name in headers}
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(parts.path),
            "RAW_URI": url.removeprefix(f"{parts.scheme}://{parts.netloc}"),
            "QUERY_STRING": parts.query,
            "SERVER_NAME": parts.hostname,
            "SERVER_PORT": "9",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": parts.netloc,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": parts.scheme,
            "wsgi.input": io.BytesIO(content),
            **{f"HTTP_{name}": text for name, text in names.items()},
            "CONTENT_TYPE": names.get("CONTENT_TYPE", ""),
            "CONTENT_LENGTH": str(len(content)),
        }
        answers: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, fields: list[tuple[str, str]], _error: Any = None) -> Any:
            answers.append((status, fields))

        app: App = self.app
        sent = b"".join(app(environ, start))
        status, fields = answers[-1]
        return self._urllib3.HTTPResponse(
            io.BytesIO(sent),
            headers=fields,
            status=int(status.split()[0]),
            reason=status.partition(" ")[2],
            preload_content=False,
            request_method=method,
        )


def _do_nothing(*_arguments: Any, **_options: Any) -> None: ...


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def share_loader(patch: pytest.MonkeyPatch) -> None:
    """Let all sessions of botocore share one loader, which reads 60 MB of models of services."""
    patch.setattr("botocore.session.create_loader", _loader)


@functools.cache
def _loader(search_path: str | None = None) -> Any:
    return import_module("botocore.loaders").create_loader(search_path)
