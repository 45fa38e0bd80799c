"""A proxy before a REST API that carries out calls and loses some of the answers."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Loses = Callable[[str, str, int], bool]
"""Whether the answer to a call is lost: its method, its path, and its number among all calls."""


class LossyProxy:
    """Serves on loopback until it is closed."""

    def __init__(self, target: str, loses: Loses) -> None:
        self.calls: list[tuple[str, str]] = []
        self.lost: list[tuple[str, str]] = []
        host = urlsplit(target).netloc
        lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

            def forward(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                connection = http.client.HTTPConnection(host, timeout=200)
                kept = ("Authorization", "Content-Type")
                headers = {k: self.headers[k] for k in kept if self.headers[k]}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                with lock:
                    proxy.calls.append((self.command, self.path))
                    is_lost = loses(self.command, self.path, len(proxy.calls))
                    if is_lost:
                        proxy.lost.append((self.command, self.path))
                if is_lost:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = forward  # noqa: N815 - the base class's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
