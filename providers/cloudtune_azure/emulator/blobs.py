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
from typing import BinaryIO
from xml.sax.saxutils import escape

from cloudtune.emulator_kit import Response
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

    def put(self, container: str, name: str, content: BinaryIO, length: int) -> Response:
        """Write a blob."""
        path = self.path(container, name)
        self._write(path, content, length)
        return Response(201, headers=_headers(path))

    def put_block(
        self, container: str, name: str, block: str, content: BinaryIO, length: int
    ) -> Response:
        """Keep a part of a blob until all parts are there."""
        self._write(self._block(container, name, block), content, length)
        return Response(201, headers=[_VERSION])

    def put_block_list(self, container: str, name: str, content: bytes) -> Response:
        """Join the parts of a blob."""
        path = self.path(container, name)
        partial = path.with_name(f"{path.name}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as target:
            for block in _BLOCK.findall(content.decode()):
                file = self._block(container, name, block)
                with file.open("rb") as source:
                    shutil.copyfileobj(source, target)
                file.unlink()
        partial.replace(path)
        return Response(201, headers=_headers(path))

    def set_metadata(self, container: str, name: str) -> Response:
        """Accept metadata of a blob, and forget it."""
        path = self._existing(container, name)
        return Response(200, headers=_headers(path))

    def get(self, container: str, name: str, header: str) -> Response:
        """Return a blob, or a range of its bytes."""
        path = self._existing(container, name)
        size = path.stat().st_size
        match = _RANGE.fullmatch(header)
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

    def head(self, container: str, name: str) -> Response:
        """Return the properties of a blob."""
        path = self._existing(container, name)
        return Response(200, headers=[*_headers(path), ("x-ms-blob-type", "BlockBlob")])

    def delete(self, container: str, name: str) -> Response:
        """Delete a blob, and the folders that become empty."""
        path = self._existing(container, name)
        path.unlink()
        with suppress(OSError):
            while path.parent != self.folder:
                path = path.parent
                path.rmdir()
        return Response(202, headers=[_VERSION])

    def list(self, container: str, prefix: str) -> Response:
        """Return the names and sizes of the blobs with a prefix, all on one page."""
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

    def _names(self, container: str) -> Iterator[tuple[str, Path]]:
        folder = self.path(container)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path

    def _existing(self, container: str, name: str) -> Path:
        path = self.path(container, name.rstrip("/"))
        if name.endswith("/") or not path.is_file():
            raise no_blob()
        return path

    def _block(self, container: str, name: str, block: str) -> Path:
        digest = hashlib.sha256(f"{container}/{name}/{block}".encode()).hexdigest()
        return self._blocks / digest

    @staticmethod
    def _write(path: Path, content: BinaryIO, length: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as file:
            while length > 0 and (part := content.read(min(_PART, length))):
                file.write(part)
                length -= len(part)
        if length:
            partial.unlink()
            raise blob_error(400, "IncompleteBody", "The body is shorter than its length.")
        partial.replace(path)


def artifacts_folder(job: str) -> str:
    """Return the folder of a job's logs and outputs in `ARTIFACTS` (recorded)."""
    return f"ExperimentRun/dcid.{job}"


def _headers(path: Path) -> list[tuple[str, str]]:
    modified = http_date(path.stat().st_mtime)
    return [_VERSION, ("ETag", _etag(path)), ("Last-Modified", modified)]


def _etag(path: Path) -> str:
    status = path.stat()
    return f'"0x{status.st_mtime_ns:X}"'
