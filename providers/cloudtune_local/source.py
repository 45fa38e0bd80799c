"""The source of a job, which is copied for each trial."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

_MAX_CACHED_FILE = 256 * 1024
"""Bytes of the largest file that is cached in memory."""
_MAX_CACHED = 8 * 1024 * 1024
"""Bytes of all cached files."""

_Entry = tuple[str, Callable[[str], object]]
"""A relative path, and a function that creates the entry at a given path."""


class SourceTree:
    """The files, links and modes of a folder, as they are when the first copy is made."""

    def __init__(self, folder: Path) -> None:
        """Set the folder, which the first copy reads."""
        self.small = True
        """Whether all files that were read fit into the cache."""
        self._folder = folder
        self._room = _MAX_CACHED

    def copy(self, target: str) -> None:
        """Create a folder with the content of the source.

        Raises:
            OSError: If an entry cannot be read or written.
        """
        os.mkdir(target, 0o700)  # noqa: PTH102 - microseconds count
        for name, create in self._entries:
            create(f"{target}/{name}")

    @cached_property
    def _entries(self) -> list[_Entry]:
        self._room = _MAX_CACHED
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
        mode = status.st_mode & 0o777 if status.st_mode & 0o111 else None
        if not entry.is_file() or status.st_size > min(_MAX_CACHED_FILE, self._room):
            self.small = False
            return partial(_copy_file, entry.path, mode)
        self._room -= status.st_size
        return partial(_write_cached, Path(entry.path).read_bytes(), mode)


def _copy_file(source: str, mode: int | None, target: str) -> None:
    shutil.copyfile(source, target)
    if mode is not None:
        os.chmod(target, mode)  # noqa: PTH101


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
