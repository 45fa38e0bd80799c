"""Serving an emulator: on loopback only, to those who show its key, until it is told to end.

An emulator starts user code, so its door is closed: the key is drawn at random at each start and
demanded on every request, the Host must be this very address (else a web page could reach it
through a name that it resolves to loopback), and a request that a web page of any other origin
sends is refused.

Where a service's clients know HTTPS alone, the certificate is made at each start and belongs to
this address only. Its key is kept in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from cloudtune.emulation.faults import Fault
from cloudtune.emulation.process import ADDRESS, CERTIFICATE, LOCK, TIED, Address
from cloudtune.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler

LOOPBACK = "127.0.0.1"
Answer = TypeVar("Answer")
"""What a service's emulator answers a call with."""


class ConnectionLost(ConnectionError):  # noqa: N818 - it is what the client meets
    """Raised by an application to end the connection without an answer."""


def carried_out(
    fault: Fault | None,
    carry_out: Callable[[], Answer],
    errors: Mapping[str, Callable[[], Exception]],
) -> Answer:
    """Carry out a call with what goes wrong with it, and return its answer.

    Args:
        fault: What goes wrong, if anything does.
        carry_out: Does what the call asks for, and returns the answer.
        errors: Make the service's own errors, by the effects of a fault plan.

    Raises:
        ConnectionLost: If the call is done, and its answer lost.
        Exception: As ``errors`` make them.
    """
    effect = fault.effect if fault else ""
    if effect == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if effect in errors and effect != "late_error":
        raise errors[effect]()
    answer = carry_out()
    if effect == "lose_response":
        raise ConnectionLost("the answer is lost, as the fault plan wants it")
    if effect == "late_error":
        raise errors[effect]()
    return answer


class Emulation(Protocol):
    """One service as an emulator has it."""

    @property
    def app(self) -> WSGIApplication:
        """Answers the requests that were let in."""
        ...

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request shows, wherever this service's clients put it."""
        ...

    def refuse(self, environ: WSGIEnvironment, why: str) -> tuple[str, str, bytes]:
        """Return status, content type and body of a refusal in the service's own shape."""
        ...

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables under which the service's own clients reach the emulator."""
        ...

    def busy(self) -> bool:
        """Tell whether a job runs, so that nobody being there is no reason to end."""
        ...

    def close(self) -> None:
        """End everything that runs."""
        ...


def serve(
    make: Callable[[str, str], Emulation],
    folder: Path,
    *,
    port: int = 0,
    idle: float | None = None,
    handler: type[WSGIRequestHandler] | None = None,
    secure: bool = False,
) -> None:
    """Serve an emulator until SIGTERM or SIGINT, or until nobody has needed it for a while.

    While it serves, ``address.json`` in the folder says where and with which key; the same stands
    on standard output. Nobody but its owner may read in the folder.

    Args:
        make: Makes the emulation from its URL and key.
        folder: The emulator's own folder; made if need be.
        port: Where to listen; 0 takes a free one.
        idle: Seconds without a request and without a running job after which it ends.
        handler: The service's own handler of HTTP requests.
        secure: Whether it speaks HTTPS; ``certificate.pem`` in the folder is then what clients
            trust.

    Raises:
        MissingExtraError: If the package is not installed that makes certificates.
        UsageError: If another emulator works in the folder, or the port is taken.
    """
    import secrets

    from werkzeug.serving import WSGIRequestHandler, make_server

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # what is printed here holds the key, and scripts their secrets
    key = f"EMULATED{secrets.token_hex(16).upper()}"
    door = _Door(key)
    with _only_one(folder), (folder / "server.log").open("a", encoding="utf-8") as log:
        try:
            server = make_server(
                LOOPBACK,
                port,
                door,
                threaded=True,
                request_handler=_handler(handler or WSGIRequestHandler, log.write),
            )
        except (OSError, SystemExit) as error:  # werkzeug prints why and exits
            raise UsageError(f"port {port} of {LOOPBACK} cannot be listened on") from error
        certificate = folder / CERTIFICATE if secure else None
        if certificate:
            _secure(server, certificate)
        scheme = "https" if secure else "http"
        url = f"{scheme}://{LOOPBACK}:{server.server_port}"
        emulation = make(url, key)
        door.open(emulation, scheme, server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        with _signals() as heard:
            thread.start()
            try:
                address = Address(
                    pid=os.getpid(),
                    url=url,
                    key=key,
                    environment=dict(emulation.environment(url, key)),
                    certificate=str(certificate) if certificate else None,
                )
                _announce(folder, address)
                _wait(heard, idle, door, emulation)
            finally:
                (folder / ADDRESS).unlink(missing_ok=True)
                server.shutdown()
                server.server_close()
                emulation.close()


def _secure(server: BaseWSGIServer, certificate: Path) -> None:
    """Let a server speak TLS only, and write the certificate that clients are to trust.

    Connections are agreed upon by the thread that answers, so that a client which says nothing
    keeps nobody else waiting.
    """
    context = _certified(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.ssl_context = context


def _certified(certificate: Path) -> SSLContext:
    import ssl

    try:
        import trustme
    except ImportError as error:
        raise MissingExtraError("an emulator that speaks HTTPS", "emulators") from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own: Any = authority.issue_cert(LOOPBACK, "localhost")  # untyped where pyOpenSSL is not there
    own.configure_cert(context)
    authority.cert_pem.write_to_path(certificate)
    return context


class _Door:
    """Lets those in who come to this address, from no web page, with the key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._emulation: Emulation | None = None
        self._hosts: frozenset[str] = frozenset()
        self._origins: frozenset[str | None] = frozenset()
        self.last_used = time.monotonic()

    def open(self, emulation: Emulation, scheme: str, port: int) -> None:
        """Begin to let requests in."""
        self._hosts = frozenset({f"{LOOPBACK}:{port}", f"localhost:{port}"})
        self._origins = frozenset([None, *(f"{scheme}://{host}" for host in self._hosts)])
        self._emulation = emulation

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Answer a request, or refuse it."""
        import hmac

        self.last_used = time.monotonic()
        emulation = self._emulation
        if emulation is None:
            return _answer(start_response, "503 Service Unavailable", "text/plain", b"starting")
        shown = emulation.key_of(environ) or ""
        if environ.get("HTTP_HOST", "") not in self._hosts:
            why = "the Host is not the address that this emulator listens on"
        elif environ.get("HTTP_ORIGIN") not in self._origins:
            why = "requests of web pages are refused"
        elif not hmac.compare_digest(shown.encode(), self._key.encode()):
            why = f"the key is not that of this emulator; {ADDRESS} in its folder holds it"
        else:
            try:
                return emulation.app(environ, start_response)
            finally:
                self.last_used = time.monotonic()
        return _answer(start_response, *emulation.refuse(environ, why))


def _answer(start_response: StartResponse, status: str, kind: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def _signals() -> Generator[int]:
    """Yield a descriptor that can be read once the process was told to end.

    Any thread may be the one that a signal interrupts, and Python's handler would then wait until
    the main thread, which sleeps, wakes for another reason. A write wakes it whoever writes.
    """
    heard, rung = os.pipe()
    os.set_blocking(rung, False)
    before = signal.set_wakeup_fd(rung, warn_on_full_buffer=False)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        yield heard
    finally:
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(rung)


def _wait(heard: int, idle: float | None, door: _Door, emulation: Emulation) -> None:
    """Return when the emulator should end."""
    tied = int(os.environ.pop(TIED, 0))
    while True:
        left = None if idle is None else door.last_used + idle - time.monotonic()
        if left is not None and left <= 0:
            if not emulation.busy():
                return
            left = min(idle or 1.0, 1.0)
        told = select.select([heard], [], [], 1.0 if tied else left)[0]
        if told or (tied and os.getppid() != tied):
            return


class _Handling:
    """Writes a line a request, and can end a connection without an answer.

    It is mixed into a handler of werkzeug, whose methods are called with more than these need.
    """

    protocol_version = "HTTP/1.1"
    close_connection: bool
    headers: Any = MappingProxyType[str, str]({})
    """Those of the request; none where it could not be read."""
    requestline: str
    write_line: Callable[[str], object]

    def connection_dropped(self, *_: object) -> None:
        self.close_connection = True

    def log(self, _kind: str, message: str, *args: Any) -> None:
        with suppress(ValueError, OSError):  # the file may be closed already
            self.write_line(f"{time.strftime('%H:%M:%S')} {message % args if args else message}\n")

    def log_request(self, code: int | str = "-", _size: int | str = "-") -> None:
        line = self.requestline.split("?")[0].removesuffix(" HTTP/1.1")
        self.log("info", "%s %s %s", line, self.headers.get("X-Amz-Target", ""), int(code))


def _handler(
    base: type[WSGIRequestHandler], write: Callable[[str], object]
) -> type[WSGIRequestHandler]:
    made: Any = type("Handler", (_Handling, base), {"write_line": staticmethod(write)})
    return cast("type[WSGIRequestHandler]", made)


def _announce(folder: Path, address: Address) -> None:
    text = json.dumps(asdict(address))
    new = folder / f"{ADDRESS}.{address.pid}"
    new.unlink(missing_ok=True)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(text)
    new.rename(folder / ADDRESS)
    print(text, flush=True)  # noqa: T201 - whoever started us reads it


@contextmanager
def _only_one(folder: Path) -> Generator[None]:
    """Hold the folder against other emulators."""
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    due = time.monotonic() + 1  # whoever looks whether it is held holds it for a moment
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > due:
                os.close(file)
                raise UsageError(
                    f"another emulator works in {folder}; end it, or name another folder"
                ) from None
            time.sleep(0.02)
    try:
        yield
    finally:
        os.close(file)
