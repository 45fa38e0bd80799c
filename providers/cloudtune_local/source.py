"""The source of a job, which is copied for each trial."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path

from cloudtune.bundle.files import clone_file

MAX_COPIED_FILES = 1000
"""A source with more files is large."""
MAX_COPIED_BYTES = 64_000_000
"""A source with more bytes is large."""
_MAX_CACHED_FILE = 256 * 1024
"""Bytes of the largest file that is cached in memory."""
MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Bytes of all cached files, which are also those that each trial keeps a copy of."""

_Entry = tuple[str, Callable[[str], object]]
"""A relative path, and a function that creates the entry at a given path."""


def is_large(files: int, size: int) -> bool:
    """Return whether trials share a source with this many files and bytes, where possible."""
    return files > MAX_COPIED_FILES or size > MAX_COPIED_BYTES


class SourceTree:
    """The files, links and modes of a folder, as they are when the first copy is made."""

    def __init__(self, folder: Path) -> None:
        """Set the folder, which the first copy reads."""
        self.small = True
        """Whether all files that were read fit into the cache."""
        self._folder = folder
        self._room = MAX_KEPT_BYTES

    def copy(self, target: str) -> None:
        """Create a folder with the content of the source.

        Raises:
            OSError: If an entry cannot be read or written.
        """
        os.mkdir(target, 0o700)  # noqa: PTH102 - microseconds count
        if self.is_large:
            self._copy_large(target)
            return
        for name, create in self._entries:
            create(f"{target}/{name}")

    @cached_property
    def is_large(self) -> bool:
        """Whether the source is large, as `is_large`; false if it cannot be read."""
        files = size = 0
        for path, _, names in os.walk(self._folder):
            for name in names:
                files += 1
                size += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118
            if is_large(files, size):
                return True
        return False

    def remove_unchanged(self, copy: str, start_file: str) -> None:
        """Remove the files of a copy that are as in the source, unless it is small; folders stay.

        Unchanged files have the time and the size of the original. A program can set the time, but
        not that of the last change of a file or its attributes, which is after the start of the
        trial then: after the last change of `start_file`.
        """
        if self.small:
            return
        try:
            start = os.stat(start_file).st_ctime_ns  # noqa: PTH116
        except OSError:
            return
        for folder, copied_folder, names in self._walk_with(copy):
            for name in names:
                with suppress(OSError):
                    original, copied = f"{folder}/{name}", f"{copied_folder}/{name}"
                    is_touched = os.lstat(copied).st_ctime_ns > start
                    if not is_touched and _time_and_size(original) == _time_and_size(copied):
                        os.unlink(copied)  # noqa: PTH108

    def _copy_large(self, target: str) -> None:
        self.small = False
        for folder, copied_folder, names in self._walk_with(target):
            os.makedirs(copied_folder, exist_ok=True)  # noqa: PTH103
            for name in names:
                original, copied = f"{folder}/{name}", f"{copied_folder}/{name}"
                status = os.lstat(original)
                if stat.S_ISLNK(status.st_mode):
                    Path(copied).symlink_to(os.readlink(original))  # noqa: PTH115
                    _set_time(copied, status)
                else:
                    _copy_file(original, status, copied)

    def _walk_with(self, copy: str) -> Iterator[tuple[str, str, list[str]]]:
        """Yield each folder of the source, its path in a copy, and its files and links."""
        root = str(self._folder)
        for folder, inner, names in os.walk(root):
            links = [name for name in inner if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
            yield folder, copy + folder[len(root) :], [*names, *links]

    @cached_property
    def _entries(self) -> list[_Entry]:
        self._room = MAX_KEPT_BYTES
        return list(self._read_entries(self._folder, ""))

    def _read_entries(self, folder: Path, prefix: str) -> Iterator[_Entry]:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_symlink():
                    yield name, partial(os.symlink, os.readlink(entry.path))  # noqa: PTH115
                elif entry.is_dir():
                    yield name, os.mkdir
                    yield from self._read_entries(Path(entry.path), f"{name}/")
                else:
                    yield name, self._read_file(entry)

    def _read_file(self, entry: os.DirEntry[str]) -> Callable[[str], object]:
        status = entry.stat()
        if not entry.is_file() or status.st_size > min(_MAX_CACHED_FILE, self._room):
            self.small = False
            return partial(_copy_file, entry.path, status)
        self._room -= status.st_size
        return partial(_write_cached, Path(entry.path).read_bytes(), _copied_mode(status.st_mode))


def _copy_file(source: str, status: os.stat_result, target: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise shutil.SpecialFileError(f"{source} is a named pipe or another special file")
    clone_file(source, target, 0o666)
    if (mode := _copied_mode(status.st_mode)) is not None:
        os.chmod(target, mode)  # noqa: PTH101
    _set_time(target, status)


def _set_time(path: str, status: os.stat_result) -> None:
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _copied_mode(mode: int) -> int | None:
    """Return the mode of the copy of an executable file, else None for the default."""
    return mode & 0o777 if mode & 0o111 else None


def _time_and_size(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_mtime_ns, status.st_size


def write_file(target: str, content: bytes) -> None:
    """Write a file with few system calls, which are most of the cost of a trial's folder.

    Raises:
        OSError: If it cannot be written.
    """
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        while content:
            content = content[os.write(file, content) :]
    finally:
        os.close(file)


def _write_cached(content: bytes, mode: int | None, target: str) -> None:
    write_file(target, content)
    if mode is not None:
        os.chmod(target, mode)  # noqa: PTH101
