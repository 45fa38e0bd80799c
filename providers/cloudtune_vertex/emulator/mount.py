"""What stands for ``/gcs``: one folder in which all buckets are, kept the same as the storage.

On the service Cloud Storage is mounted there by FUSE for every job. Here objects that change become
files, and files that a script writes or deletes become objects: at short intervals, once they have
been left alone for a moment, as an object is there only when its file is closed; and at the end of
a job all that lies below its output folder. Names that no folder can hold are not shown; links, and
files whose names are no UTF-8, are passed over.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cloudtune_vertex.emulator.storage import Storage, StorageError, split

_QUIET = 0.2
"""Seconds for which a file must not have changed before it is taken for closed."""

_LONGEST_NAME = 255
"""Bytes that the name of a file may have."""

_Key = tuple[str, str]
_Stamp = tuple[int, int]


class Mount:
    """The folder, and what is known of both sides."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        """Begin with an empty folder; an earlier emulator may have left one.

        Raises:
            OSError: If this machine cannot.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self._storage = storage
        self._generations: dict[_Key, str] = {}
        self._stamps: dict[_Key, _Stamp] = {}
        self._lock = threading.Lock()

    def synchronise(self, *, ended: str = "", before: float = math.inf) -> bool:
        """Make both sides the same; return whether they are.

        Args:
            ended: The output folder of a job that has ended, as an address: files below it are
                closed. Others may still be written.
            before: Files that were changed later do not count for what is returned.

        Raises:
            OSError: If this machine cannot.
        """
        with self._lock:
            self._show()
            return self._take(ended, before)

    def _show(self) -> None:
        """Make files of the objects that have changed."""
        now = self._storage.generations()
        for bucket in self._storage.buckets():
            (self.folder / bucket).mkdir(exist_ok=True)
        for key, generation in now.items():
            if self._generations.get(key) == generation:
                continue
            path = self._path(key)
            if path is not None and _writable(path, self.folder):
                try:
                    content = self._storage.fetch(f"gs://{key[0]}/{key[1]}")
                except StorageError:  # deleted while we look
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._stamps[key] = _stamp(path)
            self._generations[key] = generation
        for key in self._generations.keys() - now.keys():
            del self._generations[key]
            if self._stamps.pop(key, None) is not None and (path := self._path(key)):
                path.unlink(missing_ok=True)

    def _take(self, ended: str, before: float) -> bool:
        """Make objects of the files that have changed; return whether none is left for later."""
        whole = True
        found: set[_Key] = set()
        for key, path in self._files():
            found.add(key)
            try:
                stamp = _stamp(path)
                if self._stamps.get(key) == stamp:
                    continue
                changed = stamp[0] / 1e9
                if not _below(key, ended) and time.time() - changed < _QUIET:
                    whole = whole and changed > before
                    continue
                content = path.read_bytes()
            except FileNotFoundError:  # deleted while we look
                continue
            self._generations[key] = self._storage.put(*key, content)
            self._stamps[key] = stamp
        for key in self._stamps.keys() - found:
            del self._stamps[key]
            self._generations.pop(key, None)
            self._storage.delete(*key)
        return whole

    def _files(self) -> Iterator[tuple[_Key, Path]]:
        for bucket in self._storage.buckets():
            root = self.folder / bucket
            for path in sorted(root.rglob("*")):
                name = path.relative_to(root).as_posix()
                if path.is_file() and not path.is_symlink() and _is_text(name):
                    yield (bucket, name), path

    def _path(self, key: _Key) -> Path | None:
        bucket, name = key
        parts = name.split("/")
        if (
            PurePosixPath(name).as_posix() != name
            or name.startswith("/")
            or ".." in parts
            or "\0" in name
            or max(len(part.encode()) for part in parts) > _LONGEST_NAME
        ):
            return None
        return self.folder / bucket / name


def _writable(path: Path, root: Path) -> bool:
    """Tell whether no folder is where the file would be, and no file where its folders would."""
    above = [folder for folder in path.parents if folder.is_relative_to(root)]
    return not path.is_dir() and not any(folder.is_file() for folder in above)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _below(key: _Key, address: str) -> bool:
    if not address:
        return False
    bucket, prefix = split(address)
    return key[0] == bucket and key[1].startswith(prefix.rstrip("/") + "/")
