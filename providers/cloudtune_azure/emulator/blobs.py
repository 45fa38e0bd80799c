"""The blob service: containers are folders of this machine, and blobs files in them.

Operations and headers as in the REST reference of the service (learn.microsoft.com/rest/api/
storageservices, version 2022-11-02) and in recorded traffic.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import escape

from cloudtune.emulator_kit import Response
from cloudtune_azure.emulator.calls import Call
from cloudtune_azure.emulator.errors import blob_error, no_blob, no_range
from cloudtune_azure.emulator.times import http_date

ACCOUNT = "emulatedstorage"
"""The storage account, which is the first part of a blob's path, as in other emulators."""
DEFAULT_DATASTORE, ARTIFACTS = "workspaceblobstore", "workspaceartifactstore"
"""The datastore that a workspace begins with, and that with the logs and outputs of its jobs; each
has a container of its name."""
_VERSION = ("x-ms-version", "2022-11-02")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_BLOCK = re.compile(r"<(?:Latest|Uncommitted|Committed)>([^<]+)</")
_PART = 1 << 20


class Blobs:
    """The blobs of an account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blocks = folder.parent / "blocks"

    def path(self, container: str, name: str = "") -> Path:
        """Return the file of a blob, or the folder of a container.

        Raises:
            ServiceError: If the name leads elsewhere.
        """
        parts = [container, *name.split("/")] if name else [container]
        if any(part in {"", ".", ".."} or "\0" in part for part in parts):
            raise blob_error(400, "InvalidResourceName", "The specified name is not valid.")
        return self.folder.joinpath(*parts)

    def put(self, call: Call) -> Response:
        """Write a blob, one of its parts, the list of them, or its metadata, which is forgotten."""
        kind, path = call.query.get("comp"), self.path(call.names["container"], call.names["blob"])
        if kind == "metadata":
            return Response(200, headers=_headers(self._existing(call)))
        if kind == "block":
            _write(self._block(call, call.query.get("blockid", "")), call)
            return Response(201, headers=[_VERSION])
        if kind == "blocklist":
            self._join(path, call)
        else:
            _write(path, call)
        return Response(201, headers=_headers(path))

    def _join(self, path: Path, call: Call) -> None:
        """Join the parts of a blob."""
        partial = path.with_name(f"{path.name}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as target:
            for block in _BLOCK.findall(call.body.decode()):
                file = self._block(call, block)
                with file.open("rb") as source:
                    shutil.copyfileobj(source, target)
                file.unlink()
        partial.replace(path)

    def get(self, call: Call) -> Response:
        """Return a blob, or a range of its bytes."""
        path = self._existing(call)
        size = path.stat().st_size
        match = _RANGE.fullmatch(call.headers.get("x-ms-range") or call.headers.get("range") or "")
        if match is None:
            return Response(200, path.read_bytes(), "application/octet-stream", _headers(path))
        start, end = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if start >= size:
            raise no_range()
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(end + 1 - start)
        headers = [*_headers(path), ("Content-Range", f"bytes {start}-{end}/{size}")]
        return Response(206, content, "application/octet-stream", headers)

    def head(self, call: Call) -> Response:
        """Return the properties of a blob."""
        headers = [*_headers(self._existing(call)), ("x-ms-blob-type", "BlockBlob")]
        return Response(200, headers=headers)

    def delete(self, call: Call) -> Response:
        """Delete a blob, and the folders that become empty."""
        path = self._existing(call)
        path.unlink()
        with suppress(OSError):
            while path.parent != self.folder:
                path = path.parent
                path.rmdir()
        return Response(202, headers=[_VERSION])

    def list(self, call: Call) -> Response:
        """Return the names and sizes of the blobs with a prefix, all on one page."""
        container, prefix = call.names["container"], call.query.get("prefix", "")
        entries = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{http_date(path.stat().st_mtime)}</Last-Modified>"
            f"<Etag>{_etag(path)}</Etag><Content-Length>{path.stat().st_size}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name, path in self._names(container)
            if name.startswith(prefix)
        )
        text = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="" '
            f'ContainerName="{container}"><Prefix>{escape(prefix)}</Prefix>'
            f"<Blobs>{entries}</Blobs><NextMarker /></EnumerationResults>"
        )
        return Response(200, text.encode(), "application/xml", [_VERSION])

    def copy(self, container: str, prefix: str, target: Path) -> None:
        """Copy the blobs of a folder to this machine."""
        folder = self.path(container, prefix.strip("/"))
        if folder.is_dir():
            shutil.copytree(folder, target, dirs_exist_ok=True)

    def publish_log(self, job: str, log: Path) -> None:
        """Make the log of a job a blob; a job that is created again replaces it."""
        path = self.path(ARTIFACTS, log_blob(job))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(log)

    def _names(self, container: str) -> Iterator[tuple[str, Path]]:
        folder = self.path(container)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path

    def _existing(self, call: Call) -> Path:
        name = call.names["blob"]
        path = self.path(call.names["container"], name.rstrip("/"))
        if name.endswith("/") or not path.is_file():
            raise no_blob()
        return path

    def _block(self, call: Call, block: str) -> Path:
        """Return the file with a part of a blob, until all parts are there."""
        return self._blocks / hashlib.sha256(f"{call.path}/{block}".encode()).hexdigest()


def _write(path: Path, call: Call) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, length = path.with_name(f"{path.name}.partial"), call.length
    with partial.open("wb") as file:
        while length > 0 and (part := call.stream.read(min(_PART, length))):
            file.write(part)
            length -= len(part)
    if length:
        partial.unlink()
        raise blob_error(400, "IncompleteBody", "The body is shorter than its length.")
    partial.replace(path)


def artifacts_folder(job: str) -> str:
    """Return the folder of a job's logs and outputs in `ARTIFACTS` (recorded)."""
    return f"ExperimentRun/dcid.{job}"


def log_blob(job: str) -> str:
    """Return the blob with the log of a job in `ARTIFACTS`."""
    return f"{artifacts_folder(job)}/user_logs/std_log.txt"


def _headers(path: Path) -> list[tuple[str, str]]:
    modified = http_date(path.stat().st_mtime)
    return [_VERSION, ("ETag", _etag(path)), ("Last-Modified", modified)]


def _etag(path: Path) -> str:
    status = path.stat()
    return f'"0x{status.st_mtime_ns:X}"'
