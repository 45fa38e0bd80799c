"""A server with a thread per connection, which also responds when no thread can be started."""

from __future__ import annotations

import copy
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer

from cloudtune.common.host_errors import describe_host_error

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.serving import WSGIRequestHandler

PATIENCE = 5.0
"""Seconds without a thread after which requests are refused; trials that end free some."""
_RETRY = 0.05
_READ_TIMEOUT = 5.0
"""Seconds for which a client may be silent while it keeps the server from all others."""


class ThreadedServer(ThreadedWSGIServer):
    """The server, which refuses requests for which this machine has no thread left.

    If it closed their connections instead, clients would call again and again, since that looks
    like a failure of the network.
    """

    def __init__(
        self,
        host: str,
        port: int,
        app: WSGIApplication,
        handler: type[WSGIRequestHandler],
        refusing: Callable[[str], WSGIApplication],
    ) -> None:
        """Bind the address.

        Args:
            host: The address to listen on.
            port: The port; 0 for a free one.
            app: Responds to requests.
            handler: The handler of HTTP requests.
            refusing: Returns what refuses requests for a reason.
        """
        super().__init__(host, port, app, handler)
        self._refusing = refusing
        self._short_since: float | None = None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Respond in a new thread, or refuse in this one."""
        while True:
            try:
                super().process_request(request, client_address)
            except RuntimeError as error:
                if (reason := describe_host_error(error)) is None:
                    raise
            else:
                self._short_since = None
                return
            self._short_since = self._short_since or time.monotonic()
            if time.monotonic() >= self._short_since + PATIENCE:
                self._refuse(request, client_address, reason)
                return
            time.sleep(_RETRY)

    def _refuse(self, request: socket.socket, client_address: Any, reason: str) -> None:
        request.settimeout(_READ_TIMEOUT)
        server = copy.copy(self)
        server.app = self._refusing(reason)
        server.process_request_thread(request, client_address)
