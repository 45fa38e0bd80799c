"""The emulator's Cloud Storage: gcp-storage-emulator behind the emulator's own server.

One missing feature is added: a request with ``ifGenerationMatch`` is refused with 412 if the object
has another generation (<https://cloud.google.com/storage/docs/request-preconditions>).
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
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from cloudtune.emulator_kit import CallLog, MissingExtraError, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


_READ_ERRORS = (
    *(ValueError, TypeError, LookupError, AttributeError, RecursionError, UnboundLocalError),
    *(EOFError, zlib.error, gzip.BadGzipFile),
)
"""What gcp-storage-emulator raises for malformed requests."""


_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
"""Valid names of buckets (<https://cloud.google.com/storage/docs/buckets#naming>); not checked is
that only names with dots may be longer than 63 characters."""


class StorageError(Exception):
    """Something is missing in the storage; the message is in the service's words."""


class Storage:
    """All buckets. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Start without buckets.

        Args:
            url: The emulator's.

        Raises:
            MissingExtraError: If gcp-storage-emulator is not installed.
        """
        try:
            server: Any = import_module("gcp_storage_emulator.server")
        except ImportError as error:
            raise MissingExtraError("the Vertex AI emulator", "emulators") from error
        self._url = url
        self._calls: CallLog | None = None
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        logging.getLogger("api").setLevel(logging.CRITICAL)  # the same package's
        self._router: Any = server.Router
        self._handlers: Any = import_module("gcp_storage_emulator.handlers.objects")
        self._store: Any = server.Storage(use_memory_fs=True, data_dir="/")
        self._lock = threading.RLock()

    def answer(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        prefix: str = "",
        refuse: Callable[[str, str], Response | None] | None = None,
    ) -> Iterable[bytes]:
        """Respond to a request for Cloud Storage.

        Args:
            environ: The request.
            start_response: Sends status and headers.
            prefix: The prefix of all paths of this client; removed from the request's path, and
                added to the URLs of the response.
            refuse: Returns a refusal for a permission on a bucket that the request needs, or None.
        """
        exchange = _Exchange(environ, self._store)
        try:
            exchange.read()
            method = environ["REQUEST_METHOD"]
            for permission, bucket in self._permissions(exchange, method) if refuse else ():
                if refuse and (refusal := refuse(permission, bucket)):
                    return refusal.send(start_response)
            with self._lock:
                self._handle(exchange, environ["REQUEST_METHOD"])
        except _READ_ERRORS as error:
            exchange.refuse(400, "Bad Request", f"The request cannot be read: {error!r}")
        return exchange.answer(start_response, self._url, self._url + prefix)

    def _permissions(self, exchange: _Exchange, method: str) -> Iterator[tuple[str, str]]:
        """Yield the permissions that a request needs, each with the bucket.

        An upload that overwrites an object also needs to delete it (storage/docs/access-control/
        iam-json, read 2026-11-27).
        """
        if exchange.creates_bucket(method):
            yield "storage.buckets.create", exchange.name()
            return
        if exchange.query("upload_id") is not None:
            return  # the permissions were needed when the upload began
        bucket, name = exchange.target() if "/o" in exchange.path else ("", "")
        if not bucket:
            return
        match method:
            case "GET":
                yield f"storage.objects.{'get' if name else 'list'}", bucket
            case "DELETE":
                yield "storage.objects.delete", bucket
            case _:
                yield "storage.objects.create", bucket
                if self.has(bucket, name):
                    yield "storage.objects.delete", bucket

    def _handle(self, exchange: _Exchange, method: str) -> None:
        if self._has_other_generation(exchange):
            message = "At least one of the pre-conditions you specified did not hold."
            exchange.refuse(412, "Precondition Failed", message)
        elif exchange.path.partition("?")[0] in ("/", "/wipe"):  # not part of the service
            exchange.refuse(404, "Not Found", "Not Found")
        elif exchange.creates_bucket(method) and not _BUCKET.fullmatch(exchange.name()):
            exchange.refuse(400, "Bad Request", f"Invalid bucket name: '{exchange.name()}'")
        else:
            self._router(exchange).handle(method)
            if exchange.creates_bucket(method) and exchange.status.startswith("200"):
                self._set_location(exchange)

    def _set_location(self, exchange: _Exchange) -> None:
        """Give a new bucket the location that its request names; the package ignores it."""
        location = exchange.document().get("location")
        if isinstance(location, str) and location:
            about: dict[str, Any] = self._store.buckets[exchange.name()]
            about["location"] = location.upper()
            about["locationType"] = "region" if "-" in location else "multi-region"
            exchange.wfile = io.BytesIO(json.dumps(about).encode())

    def log_calls(self, calls: CallLog) -> None:
        """Record the permissions that jobs use from now on."""
        self._calls = calls

    def _use(self, bucket: str, verb: str) -> None:
        if self._calls is not None:
            self._calls.add("job", f"storage.objects.{verb}", f"projects/_/buckets/{bucket}")

    def buckets(self) -> list[str]:
        """Return the names of all buckets."""
        with self._lock:
            return list(self._store.buckets)

    def location(self, bucket: str) -> str | None:
        """Return the location of a bucket, ``US`` unless it was created elsewhere, or None."""
        with self._lock:
            about: dict[str, Any] | None = self._store.buckets.get(bucket)
            return None if about is None else str(about.get("location") or "US").upper()

    def has(self, bucket: str, name: str) -> bool:
        """Return whether there is an object."""
        with self._lock:
            return name in self._store.objects.get(bucket, {})

    def generations(self) -> dict[tuple[str, str], str]:
        """Return the generation of each object, by bucket and name."""
        for bucket in self.buckets():
            self._use(bucket, "list")
        with self._lock:
            return {
                (bucket, name): about["generation"]
                for bucket, objects in self._store.objects.items()
                for name, about in objects.items()
            }

    def fetch(self, uri: str) -> bytes:
        """Return the content of an object.

        Raises:
            StorageError: If it does not exist.
        """
        bucket, name = split_uri(uri)
        self._use(bucket, "get")
        with self._lock:
            if name not in self._store.objects.get(bucket, {}):
                raise StorageError(f"The object {uri} does not exist.")
            content: bytes = self._store.get_file(bucket, name)
            return content

    def put(self, bucket: str, name: str, content: bytes) -> str:
        """Store an object in an existing bucket; return its generation."""
        self._use(bucket, "create")
        if self.has(bucket, name):
            self._use(bucket, "delete")
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
        """Delete an object, if it exists."""
        self._use(bucket, "delete")
        with self._lock:
            if name in self._store.objects.get(bucket, {}):
                self._store.delete_file(bucket, name)

    def _has_other_generation(self, exchange: _Exchange) -> bool:
        """Return whether a precondition on the object's generation fails."""
        expected = exchange.query("ifGenerationMatch")
        if expected is None or exchange.query("upload_id") is not None:
            return False
        bucket, name = exchange.target()
        generation = self._store.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        return bool(generation != expected)


class _Exchange:
    """A WSGI request in the form of gcp-storage-emulator, and the response that it writes."""

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
        self.response_headers: list[tuple[str, str]] = []
        self._query = parse_qs(environ.get("QUERY_STRING", ""))

    def read(self) -> None:
        """Read the body.

        Raises:
            ValueError: If it is malformed.
        """
        self._body = body_of(self._environ)
        self.headers["Content-Length"] = str(len(self._body))
        self.rfile = io.BytesIO(self._body)

    def query(self, name: str) -> str | None:
        """Return a parameter of the query, if it exists."""
        values = self._query.get(name)
        return values[0] if values else None

    def target(self) -> tuple[str, str]:
        """Return bucket and name of the object, wherever the client puts them."""
        _, _, rest = self.path.partition("?")[0].partition("/b/")
        bucket, _, name = rest.partition("/o")
        name = unquote(name.removeprefix("/"))
        return unquote(bucket), name or self.query("name") or self.name()

    def creates_bucket(self, method: str) -> bool:
        """Return whether this creates a bucket."""
        return method == "POST" and self.path.partition("?")[0].rstrip("/").endswith("/b")

    def name(self) -> str:
        """Return the name in the body; empty if it has none."""
        return str(self.document().get("name", ""))

    def document(self) -> dict[str, Any]:
        """Return the JSON in the body; empty if it has none."""
        kind = str(self.headers.get("Content-Type", ""))
        content = self._body
        if kind.startswith("multipart/"):
            message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
            first: Any = message.get_payload(0)
            content = first.get_payload(decode=True)
        document: dict[str, Any] = json.loads(content) if content else {}
        return document

    def send_response(self, code: int, phrase: str) -> None:
        self.status = f"{code} {phrase}"

    def send_header(self, name: str, value: str) -> None:
        self.response_headers.append((name, str(value)))

    def answer(self, start_response: StartResponse, url: str, client_url: str) -> Iterable[bytes]:
        """Send the response, with the URLs that this client is to use."""
        body = self.wfile.getvalue()
        is_content = self.query("alt") == "media" or self.path.startswith("/download/")
        if not is_content:
            body = body.replace(f"{url}/".encode(), f"{client_url}/".encode())
        headers = {
            name: value.replace(f"{url}/", f"{client_url}/")
            for name, value in self.response_headers
        }
        headers["Content-Length"] = str(len(body))
        start_response(self.status, list(headers.items()))
        return [body]

    def end_headers(self) -> None:
        """Do nothing: WSGI knows the end of the headers."""

    def refuse(self, code: int, phrase: str, message: str) -> None:
        self.wfile = io.BytesIO()
        self.response_headers = []
        self.send_response(code, phrase)
        self.send_header("Content-Type", "application/json")
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.wfile.write(body)


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and name of a URI such as ``gs://bucket/name``."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def body_of(environ: WSGIEnvironment) -> bytes:
    """Return the body of a request, which may be chunked; an invalid length counts as 0.

    Raises:
        ValueError: If it ends too early, or its chunks are malformed.
    """
    from werkzeug.exceptions import ClientDisconnected
    from werkzeug.wsgi import get_input_stream

    try:
        return get_input_stream(environ).read()
    except (OSError, ClientDisconnected) as error:
        raise ValueError(f"The body of the request cannot be read: {error}") from error
