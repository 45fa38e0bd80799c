"""Serves an emulator on loopback, to clients that show its key, until it is asked to end.

An emulator starts user code, so access is closed: the key is drawn at random at each start and
required on every request, the Host must be this address (otherwise a web page could reach the
emulator through a name that resolves to loopback), and requests from web pages of any other origin
are refused.

Where a service's clients only know HTTPS, the certificate is created at each start and belongs to
this address only. Its private key stays in memory.
"""

from __future__ import annotations

import fcntl
import functools
import hmac
import io
import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from cloudtune.common.host_errors import describe_host_error
from cloudtune.emulation.process import ADDRESS, CERTIFICATE, LOCK, TIED, Address, FolderInUseError
from cloudtune.emulator_kit.app import App, ConnectionLost, Response
from cloudtune.errors import MissingExtraError, UsageError
from cloudtune.ledger.home import create_private_folder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler

LOOPBACK = "127.0.0.1"
MAX_DOCUMENT = 64 * 1024 * 1024
"""Bytes of the body of a request that is JSON or a form, which is read into memory."""
MAX_FILE = 1024 * 1024 * 1024
"""Bytes of any other body, that is of a file or a part of one."""


def serve(
    create: Callable[[str, str], App],
    folder: Path,
    *,
    port: int = 0,
    idle: float | None = None,
    handler: type[WSGIRequestHandler] | None = None,
    secure: bool = False,
) -> None:
    """Serve an emulator until SIGTERM or SIGINT, or until it has been idle for a while.

    While it serves, ``address.json`` in the folder has its URL and key; the same is printed to
    standard output. Only the owner can read the folder.

    Args:
        create: Creates the emulation from its URL and key.
        folder: The emulator's own folder; created if necessary.
        port: The port to listen on; 0 for a free one.
        idle: Seconds without a request and without a running job after which it ends.
        handler: The service's own handler of HTTP requests.
        secure: Whether to speak HTTPS; clients then trust ``certificate.pem`` in the folder.

    Raises:
        MissingExtraError: If the package that creates certificates is not installed.
        UsageError: If another emulator uses the folder, or the port is in use.
    """
    import secrets

    from werkzeug.serving import WSGIRequestHandler

    from cloudtune.emulator_kit.threaded_server import ThreadedServer

    create_private_folder(folder)
    folder.chmod(0o700)  # address.json holds the key, and scripts their secrets
    key = f"EMULATED{secrets.token_hex(16).upper()}"
    gate = _Gate(key)
    with _folder_lock(folder), (folder / "server.log").open("a", encoding="utf-8") as log:
        try:
            request_handler = _request_handler(handler or WSGIRequestHandler, log.write)
            server = ThreadedServer(LOOPBACK, port, gate, request_handler, gate.refusing)
        except (OSError, SystemExit) as error:  # werkzeug prints the reason and exits
            raise UsageError(f"cannot listen on port {port} of {LOOPBACK}") from error
        certificate = folder / CERTIFICATE if secure else None
        if certificate:
            _use_tls(server, certificate)
        scheme = "https" if secure else "http"
        url = f"{scheme}://{LOOPBACK}:{server.server_port}"
        emulation = create(url, key)
        gate.open(emulation, scheme, server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        with _signals() as signals:
            thread.start()
            try:
                address = Address(
                    pid=os.getpid(),
                    url=url,
                    key=key,
                    environment=dict(emulation.environment(url, key)),
                    certificate=str(certificate) if certificate else None,
                )
                _publish(folder, address)
                _wait(signals, idle, gate, emulation)
            finally:
                (folder / ADDRESS).unlink(missing_ok=True)
                server.shutdown()
                server.server_close()
                emulation.close()


def _use_tls(server: BaseWSGIServer, certificate: Path) -> None:
    """Make a server speak TLS only, and write the certificate that clients are to trust.

    The thread that responds does the handshake, so that a silent client delays no other.
    """
    import ssl

    try:
        import trustme
    except ImportError as error:
        raise MissingExtraError("an emulator that speaks HTTPS", "emulators") from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued: Any = authority.issue_cert(LOOPBACK, "localhost")  # untyped without pyOpenSSL
    issued.configure_cert(context)
    authority.cert_pem.write_to_path(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.ssl_context = context


class _Gate:
    """Passes on requests to this address, from no web page, with the key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._emulation: App | None = None
        self._hosts: frozenset[str] = frozenset()
        self._origins: frozenset[str | None] = frozenset()
        self.last_used = time.monotonic()

    def open(self, emulation: App, scheme: str, port: int) -> None:
        self._hosts = frozenset({f"{LOOPBACK}:{port}", f"localhost:{port}"})
        self._origins = frozenset([None, *(f"{scheme}://{host}" for host in self._hosts)])
        self._emulation = emulation

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._admit(environ, start_response)

    def refusing(self, reason: str) -> WSGIApplication:
        """Return an application that refuses what the emulation would respond to."""
        return functools.partial(self._admit, unable=reason)

    def _admit(
        self, environ: WSGIEnvironment, start_response: StartResponse, unable: str | None = None
    ) -> Iterable[bytes]:
        self.last_used = time.monotonic()
        emulation = self._emulation
        if emulation is None:
            return Response(503, b"starting", "text/plain").send(start_response)
        limit = _body_limit(environ)
        length = str(environ.get("CONTENT_LENGTH") or 0)
        if not (length.isascii() and length.isdecimal()):
            reason = "the Content-Length is not a number of bytes"
            return Response(400, reason.encode(), "text/plain").send(start_response)
        if int(length[:20]) > limit:
            reason = f"the body has more than the {limit:,} bytes that this emulator accepts"
            return Response(413, reason.encode(), "text/plain").send(start_response)
        if environ.get("wsgi.input_terminated"):  # sent in chunks, without a length
            environ["wsgi.input"] = _LimitedInput(environ["wsgi.input"], limit)
        key = emulation.key_of(environ) or ""
        if environ.get("HTTP_HOST", "") not in self._hosts:
            reason = "the Host is not the address that this emulator listens on"
        elif environ.get("HTTP_ORIGIN") not in self._origins:
            reason = "requests from web pages are refused"
        elif not hmac.compare_digest(key.encode(), self._key.encode()):
            reason = f"wrong key; {ADDRESS} in the emulator's folder has the right one"
        elif unable:
            return emulation.refuse_as_unable(environ, unable).send(start_response)
        else:
            try:
                return emulation(environ, start_response)
            except RecursionError:
                text = b"the document is nested too deeply"
                return Response(400, text, "text/plain").send(start_response)
            except (OSError, MemoryError, RuntimeError) as error:
                if (host_error := describe_host_error(error)) is None:
                    raise
                return emulation.refuse_as_unable(environ, host_error).send(start_response)
            finally:
                self.last_used = time.monotonic()
        return emulation.refuse(environ, reason).send(start_response)


def _body_limit(environ: WSGIEnvironment) -> int:
    """Return how many bytes the body of a request may have."""
    kind = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    is_document = "json" in kind or kind == "application/x-www-form-urlencoded"
    return MAX_DOCUMENT if is_document else MAX_FILE


class _LimitedInput(io.RawIOBase):
    """A body without a length, whose connection ends if it has too many bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._rest = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._stream.readinto(buffer)
        self._rest -= count
        if self._rest < 0:
            raise ConnectionLost("the body is too large")
        return count


@contextmanager
def _signals() -> Generator[int]:
    """Yield a descriptor that becomes readable when the process is asked to end.

    A signal can interrupt any thread, and Python's handler would then wait until the sleeping main
    thread wakes for another reason. A write wakes it in every case.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _wait(signals: int, idle: float | None, gate: _Gate, emulation: App) -> None:
    """Return when the emulator is to end."""
    parent = int(os.environ.pop(TIED, 0))
    while True:
        remaining = None if idle is None else gate.last_used + idle - time.monotonic()
        if remaining is not None and remaining <= 0:
            if not emulation.busy():
                return
            remaining = min(idle or 1.0, 1.0)
        signalled = select.select([signals], [], [], 1.0 if parent else remaining)[0]
        if signalled or (parent and os.getppid() != parent):
            return


class _RequestLogger:
    """Logs one line per request, and can close a connection without a response.

    Mixed into a request handler of werkzeug, whose methods get more arguments than these need.
    """

    protocol_version = "HTTP/1.1"
    close_connection: bool
    headers: Any = MappingProxyType[str, str]({})
    """The request's; empty if it could not be read."""
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


def _request_handler(
    base: type[WSGIRequestHandler], write: Callable[[str], object]
) -> type[WSGIRequestHandler]:
    handler: Any = type("Handler", (_RequestLogger, base), {"write_line": staticmethod(write)})
    return cast("type[WSGIRequestHandler]", handler)


def _publish(folder: Path, address: Address) -> None:
    text = json.dumps(asdict(address))
    path = folder / f"{ADDRESS}.{address.pid}"
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(text)
    path.rename(folder / ADDRESS)
    print(text, flush=True)  # noqa: T201 - the parent process reads it


@contextmanager
def _folder_lock(folder: Path) -> Generator[None]:
    """Hold the folder's lock against other emulators."""
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + 1  # a process that checks the lock holds it for a moment
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(file)
                raise FolderInUseError(folder) from None
            time.sleep(0.02)
    try:
        (folder / ADDRESS).unlink(missing_ok=True)  # of one that was killed
        yield
    finally:
        os.close(file)
