"""A TLS server that redirects every request to a server that records what it receives."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


class RedirectingServer:
    """The server that a client trusts, and one without TLS to which it redirects."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "authority.pem"
        self.status = 307
        self.target = ""
        """Where requests are redirected: empty for the server without TLS."""
        self.requests: list[str] = []
        """What the client sent to the server that it trusts."""
        self.leaked: list[bytes] = []
        """What it sent to the other one."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued: Any = authority.issue_cert("127.0.0.1", "localhost")  # untyped without pyOpenSSL
        issued.configure_cert(context)
        outer = self

        class Redirect(_Handler):
            def answer(self, received: bytes) -> None:
                del received
                outer.requests.append(f"{self.command} {self.path}")
                self.send_response(outer.status)
                self.send_header("Location", f"{outer.target or outer.plain_url}{self.path}")
                self.send_header("x-amz-bucket-region", "eu-west-1")  # S3 always sends it
                self.send_header("Content-Length", "0")
                self.end_headers()

        class Sink(_Handler):
            def answer(self, received: bytes) -> None:
                outer.leaked.append(received)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        self._redirecting = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
        self._redirecting.socket = context.wrap_socket(
            self._redirecting.socket, server_side=True, do_handshake_on_connect=False
        )
        self._sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        self.url = f"https://127.0.0.1:{self._redirecting.server_port}"
        self.plain_url = f"http://127.0.0.1:{self._sink.server_port}"

    @contextmanager
    def serving(self) -> Generator[RedirectingServer]:
        """Serve until the block ends."""
        servers = (self._redirecting, self._sink)
        threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server, thread in zip(servers, threads, strict=True):
                server.shutdown()
                thread.join()
                server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def answer(self, received: bytes) -> None:
        raise NotImplementedError

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(f"{self.command} {self.path}\n{self.headers}".encode() + body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815 - as http.server looks for them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """Print nothing."""
