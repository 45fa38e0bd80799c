"""The source of a job, of which each trial is given a copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

_SMALL = 256 * 1024
"""Bytes of the largest file that is kept in memory, to be written from there for each trial."""
_KEPT = 8 * 1024 * 1024
"""Bytes of all files that are kept there."""

_Made = Iterator[tuple[str, Callable[[str], object]]]
"""Names, and what makes the entry of that name at a path."""


class SourceTree:
    """A folder as it is when the first copy of it is made: its files, links and modes."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing is read yet."""
        self.small = True
        """Whether all files are kept in memory, as far as they were read."""
        self._folder = folder
        self._room = _KEPT

    def copy(self, target: str) -> None:
        """Make a new folder with what the source holds.

        Raises:
            OSError: If something cannot be read or written.
        """
        os.mkdir(target, 0o700)  # noqa: PTH102 - here microseconds count
        for name, make in self._entries:
            make(f"{target}/{name}")

    @cached_property
    def _entries(self) -> list[tuple[str, Callable[[str], object]]]:
        self._room = _KEPT
        return list(self._listed(self._folder, ""))

    def _listed(self, folder: Path, within: str) -> _Made:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = within + entry.name
                if entry.is_symlink():
                    yield name, partial(os.symlink, os.readlink(entry.path))  # noqa: PTH115
                elif entry.is_dir():
                    yield name, os.mkdir
                    yield from self._listed(Path(entry.path), f"{name}/")
                else:
                    yield name, self._file(entry)

    def _file(self, entry: os.DirEntry[str]) -> Callable[[str], object]:
        status = entry.stat()
        mode = status.st_mode & 0o777 if status.st_mode & 0o111 else None
        if not entry.is_file() or status.st_size > min(_SMALL, self._room):
            self.small = False
            return partial(_copy, entry.path, mode)
        self._room -= status.st_size
        return partial(_write, Path(entry.path).read_bytes(), mode)


def _copy(source: str, mode: int | None, target: str) -> None:
    shutil.copyfile(source, target)
    if mode is not None:
        os.chmod(target, mode)  # noqa: PTH101


def write_file(target: str, content: bytes) -> None:
    """Write a file with as few calls as that takes: this is most of what a trial's folder costs.

    Raises:
        OSError: If it cannot be written.
    """
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        while content:
            content = content[os.write(file, content) :]
    finally:
        os.close(file)


def _write(content: bytes, mode: int | None, target: str) -> None:
    write_file(target, content)
    if mode is not None:
        os.chmod(target, mode)  # noqa: PTH101
