"""The emulator's Cloud Storage: gcp-storage-emulator, answered through our door, and from inside.

What it lacks and our clients rely on is added: a request with ``ifGenerationMatch`` is refused with
412 where the object has another generation
(<https://cloud.google.com/storage/docs/request-preconditions>).
"""

from __future__ import annotations

import email
import gzip
import io
import json
import logging
import re
import threading
import zlib
from collections.abc import Iterable
from email.message import Message
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from cloudtune.errors import MissingExtraError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


_MISREAD = (
    *(ValueError, TypeError, LookupError, AttributeError, RecursionError),
    *(EOFError, zlib.error, gzip.BadGzipFile),
)
"""What gcp-storage-emulator, which takes every request for a whole one, raises where one is not."""


_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
"""The names that buckets may have (<https://cloud.google.com/storage/docs/buckets#naming>); that
they may be longer than 63 characters with dots alone is not looked at."""


class StorageError(Exception):
    """Something in the storage is not there; the message is in the service's words."""


class Storage:
    """All buckets. Safe in threads."""

    def __init__(self, url: str) -> None:
        """Begin without a bucket.

        Args:
            url: Where it is reached.

        Raises:
            MissingExtraError: If gcp-storage-emulator is not installed.
        """
        server = _server()
        self._url = url
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        logging.getLogger("api").setLevel(logging.CRITICAL)  # the same package's
        self._router: Any = server.Router
        self._handlers: Any = import_module("gcp_storage_emulator.handlers.objects")
        self._store: Any = server.Storage(use_memory_fs=True, data_dir="/")
        self._lock = threading.RLock()

    def answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, prefix: str = ""
    ) -> Iterable[bytes]:
        """Answer a request of a client of Cloud Storage.

        Args:
            environ: The request.
            start_response: Takes the beginning of the answer.
            prefix: What all paths of this client begin with. It is gone from that of the request,
                and stands in the addresses of the answer.
        """
        exchange = _Exchange(environ, self._store)
        try:
            exchange.read()
            with self._lock:
                self._handle(exchange, environ["REQUEST_METHOD"])
        except _MISREAD as error:
            exchange.refuse(400, "Bad Request", f"The request cannot be read: {error!r}")
        return exchange.answer(start_response, self._url, self._url + prefix)

    def _handle(self, exchange: _Exchange, method: str) -> None:
        wrong = self._other_generation(exchange)
        if wrong:
            exchange.refuse(412, "Precondition Failed", wrong)
        elif exchange.path.partition("?")[0] in ("/", "/wipe"):  # no part of the service
            exchange.refuse(404, "Not Found", "Not Found")
        elif exchange.makes_bucket(method) and not _BUCKET.fullmatch(exchange.name()):
            exchange.refuse(400, "Bad Request", f"Invalid bucket name: '{exchange.name()}'")
        else:
            self._router(exchange).handle(method)

    def buckets(self) -> list[str]:
        """Return the names of all buckets."""
        with self._lock:
            return list(self._store.buckets)

    def generations(self) -> dict[tuple[str, str], str]:
        """Return the generation of each object, by bucket and name."""
        with self._lock:
            return {
                (bucket, name): found["generation"]
                for bucket, objects in self._store.objects.items()
                for name, found in objects.items()
            }

    def fetch(self, uri: str) -> bytes:
        """Return the content of an object.

        Raises:
            StorageError: If there is none.
        """
        bucket, name = split(uri)
        with self._lock:
            if name not in self._store.objects.get(bucket, {}):
                raise StorageError(f"There is no object {uri}.")
            content: bytes = self._store.get_file(bucket, name)
            return content

    def put(self, bucket: str, name: str, content: bytes) -> str:
        """Put an object into a bucket that is there; return its generation."""
        with self._lock:
            kind = "application/octet-stream"
            about = self._handlers._make_object_resource(
                self._url, bucket, name, kind, str(len(content))
            )
            self._store.create_file(
                bucket, name, content, self._handlers._checksums(content, about)
            )
            generation: str = about["generation"]
            return generation

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object, if it is there."""
        with self._lock:
            if name in self._store.objects.get(bucket, {}):
                self._store.delete_file(bucket, name)

    def _other_generation(self, exchange: _Exchange) -> str:
        """Return why an upload or a deletion must not be done; empty if it may."""
        wanted = exchange.query("ifGenerationMatch")
        if wanted is None or exchange.query("upload_id") is not None:
            return ""
        bucket, name = exchange.target()
        found = self._store.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        if found == wanted:
            return ""
        return "At least one of the pre-conditions you specified did not hold."


class _Exchange:
    """A request of WSGI as gcp-storage-emulator wants it, and the answer that it writes."""

    def __init__(self, environ: WSGIEnvironment, storage: Any) -> None:
        self.storage = storage
        self.server = self
        self.server_address = ("127.0.0.1", 0)
        self.path = environ.get("RAW_URI") or environ["PATH_INFO"]
        self.headers = Message()
        for name, value in environ.items():
            if name.startswith("HTTP_") and name != "HTTP_TRANSFER_ENCODING":
                self.headers[name[5:].replace("_", "-")] = value
        if environ.get("CONTENT_TYPE"):
            self.headers["Content-Type"] = environ["CONTENT_TYPE"]
        self._environ = environ
        self._body = b""
        self.wfile = io.BytesIO()
        self.status = ""
        self.answered: list[tuple[str, str]] = []
        self._query = parse_qs(environ.get("QUERY_STRING", ""))

    def read(self) -> None:
        """Read the body.

        Raises:
            ValueError: If that cannot be done.
        """
        self._body = body_of(self._environ)
        self.headers["Content-Length"] = str(len(self._body))
        self.rfile = io.BytesIO(self._body)

    def query(self, name: str) -> str | None:
        """Return a parameter of the query, if it is there."""
        found = self._query.get(name)
        return found[0] if found else None

    def target(self) -> tuple[str, str]:
        """Return bucket and name of the object that is written, wherever the client says so."""
        _, _, rest = self.path.partition("?")[0].partition("/b/")
        bucket, _, name = rest.partition("/o")
        name = unquote(name.removeprefix("/"))
        return unquote(bucket), name or self.query("name") or self.name()

    def makes_bucket(self, method: str) -> bool:
        """Tell whether this creates a bucket."""
        return method == "POST" and self.path.partition("?")[0].rstrip("/").endswith("/b")

    def name(self) -> str:
        """Return the name that the body gives to what is made; empty where it gives none."""
        kind = str(self.headers.get("Content-Type", ""))
        content = self._body
        if kind.startswith("multipart/"):
            whole = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
            first: Any = whole.get_payload(0)
            content = first.get_payload(decode=True)
        return str(json.loads(content).get("name", "")) if content else ""

    def send_response(self, code: int, phrase: str) -> None:
        self.status = f"{code} {phrase}"

    def send_header(self, name: str, value: str) -> None:
        self.answered.append((name, str(value)))

    def answer(self, start_response: StartResponse, url: str, shown: str) -> Iterable[bytes]:
        """Send what was written, with the addresses in it as this client is to see them."""
        body = self.wfile.getvalue()
        of_object = self.query("alt") == "media" or self.path.startswith("/download/")
        if not of_object:
            body = body.replace(f"{url}/".encode(), f"{shown}/".encode())
        headers = {name: value.replace(f"{url}/", f"{shown}/") for name, value in self.answered}
        headers["Content-Length"] = str(len(body))
        start_response(self.status, list(headers.items()))
        return [body]

    def end_headers(self) -> None:
        """Do nothing: WSGI knows where they end."""

    def refuse(self, code: int, phrase: str, message: str) -> None:
        self.wfile = io.BytesIO()
        self.answered = []
        self.send_response(code, phrase)
        self.send_header("Content-Type", "application/json")
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.wfile.write(body)


def split(uri: str) -> tuple[str, str]:
    """Return bucket and name of an address such as ``gs://bucket/name``."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def _server() -> Any:
    try:
        return import_module("gcp_storage_emulator.server")
    except ImportError as error:
        raise MissingExtraError("the Vertex AI emulator", "emulators") from error


def body_of(environ: WSGIEnvironment) -> bytes:
    """Return the body of a request, which may come in chunks; a length that is none means 0.

    Raises:
        ValueError: If it breaks off, or its chunks are none.
    """
    from werkzeug.exceptions import ClientDisconnected
    from werkzeug.wsgi import get_input_stream

    try:
        return get_input_stream(environ).read()
    except (OSError, ClientDisconnected) as error:
        raise ValueError(f"The body of the request cannot be read: {error}") from error
