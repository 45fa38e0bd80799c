"""Stands in for ``/gcs``: one folder with all buckets, kept in sync with the storage.

The service mounts Cloud Storage there with FUSE for every job. Here changed objects become files,
and changed and deleted files become objects: at short intervals, once a file has not changed for a
moment, since an object exists only when its file is closed; and at the end of a job everything
below its output folder. Names that no folder can hold are not shown; links, and files whose names
are not UTF-8, are skipped.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cloudtune.emulator_kit import create_folder
from cloudtune_vertex.emulator.storage import Storage, StorageError, split_uri

_QUIET_SECONDS = 0.2
"""Seconds without a change after which a file counts as closed."""

_MAX_NAME = 255
"""Bytes of a file name."""

_Key = tuple[str, str]
_Stamp = tuple[int, int]


class Mount:
    """The folder, and the last known state of both sides."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        """Start with an empty folder.

        Raises:
            OSError: If this machine cannot.
        """
        self.folder = create_folder(folder)
        self._storage = storage
        self._buckets: set[str] = set()
        self._generations: dict[_Key, str] = {}
        self._stamps: dict[_Key, _Stamp] = {}
        self._lock = threading.Lock()

    def synchronize(self, *, output: str = "", before: float = math.inf) -> bool:
        """Synchronize both sides; return whether nothing is left for later.

        Args:
            output: The URI of the output folder of a job that has ended: files below it are closed,
                while others may still be written.
            before: Ignore files that changed later in the returned value.

        Raises:
            OSError: If this machine cannot.
        """
        with self._lock:
            self._write_files()
            return self._store_files(output, before)

    def volumes(self, path: str) -> dict[Path, str]:
        """Return the folders for a container by path; only the buckets can be written."""
        with self._lock:
            buckets = {self.folder / name: f"{path}/{name}" for name in sorted(self._buckets)}
            return {self.folder: f"{path}:ro", **buckets}

    def remove_strangers(self) -> list[str]:
        """Remove what scripts created next to the buckets, and return the names.

        They can only where ``/gcs`` is not mounted; all jobs share the folder then.
        """
        with self._lock:
            buckets = self._storage.buckets()
            strangers = [path for path in self.folder.iterdir() if path.name not in buckets]
            for path in strangers:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            return sorted(path.name for path in strangers)

    def _write_files(self) -> None:
        """Write the files of changed objects."""
        current = self._storage.generations()
        buckets = set(self._storage.buckets())
        for bucket in buckets:
            (self.folder / bucket).mkdir(exist_ok=True)
        for bucket in self._buckets - buckets:
            shutil.rmtree(self.folder / bucket, ignore_errors=True)
        self._buckets = buckets
        for key, generation in current.items():
            if self._generations.get(key) == generation:
                continue
            path = self._path(key)
            if path is not None and _is_free(path, self.folder):
                try:
                    content = self._storage.fetch(f"gs://{key[0]}/{key[1]}")
                except StorageError:  # deleted meanwhile
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._stamps[key] = _stamp(path)
            self._generations[key] = generation
        for key in self._generations.keys() - current.keys():
            del self._generations[key]
            if self._stamps.pop(key, None) is not None and (path := self._path(key)):
                path.unlink(missing_ok=True)

    def _store_files(self, output: str, before: float) -> bool:
        """Store the objects of changed files; return whether none is left for later."""
        complete = True
        seen: set[_Key] = set()
        for key, path in self._files():
            seen.add(key)
            try:
                stamp = _stamp(path)
                if self._stamps.get(key) == stamp:
                    continue
                changed = stamp[0] / 1e9
                if not _is_below(key, output) and time.time() - changed < _QUIET_SECONDS:
                    complete = complete and changed > before
                    continue
                content = path.read_bytes()
            except FileNotFoundError:  # deleted meanwhile
                continue
            self._generations[key] = self._storage.put(*key, content)
            self._stamps[key] = stamp
        for key in self._stamps.keys() - seen:
            del self._stamps[key]
            self._generations.pop(key, None)
            self._storage.delete(*key)
        return complete

    def _files(self) -> Iterator[tuple[_Key, Path]]:
        for bucket in self._storage.buckets():
            root = self.folder / bucket
            for path in sorted(root.rglob("*")):
                name = path.relative_to(root).as_posix()
                is_utf8 = name == name.encode("utf-8", "replace").decode()
                if path.is_file() and not path.is_symlink() and is_utf8:
                    yield (bucket, name), path

    def _path(self, key: _Key) -> Path | None:
        bucket, name = key
        parts = name.split("/")
        if (
            PurePosixPath(name).as_posix() != name
            or name.startswith("/")
            or ".." in parts
            or "\0" in name
            or max(len(part.encode()) for part in parts) > _MAX_NAME
        ):
            return None
        return self.folder / bucket / name


def _is_free(path: Path, root: Path) -> bool:
    """Return whether no folder has the file's path, and no file the path of its folders."""
    folders = [folder for folder in path.parents if folder.is_relative_to(root)]
    return not path.is_dir() and not any(folder.is_file() for folder in folders)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _is_below(key: _Key, uri: str) -> bool:
    if not uri:
        return False
    bucket, prefix = split_uri(uri)
    return key[0] == bucket and key[1].startswith(prefix.rstrip("/") + "/")
