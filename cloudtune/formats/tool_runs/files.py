"""Read the files of a folder that is not trusted: bounded, and never outside of the folder.

Pickles (``.pkl``, ``.dill``) are never opened: loading one runs any code that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cloudtune.errors import UsageError
from cloudtune.study.quantities import format_bytes
from cloudtune.study.regular_files import open_regular
from cloudtune.study.yaml_reader import is_map

MAX_BYTES = 512 * 1024**2
"""The largest file that is read as a whole."""
MAX_LINE = 16 * 1024**2
"""The longest line of a file that is read line by line."""
_JSON_ERRORS = (ValueError, RecursionError)


class UnreadableFileError(UsageError):
    """A file is missing, is not what it should be, or leads out of the folder; says which."""


@dataclass(frozen=True)
class RunFolder:
    """A folder with the files of a run."""

    path: Path

    def folders(self) -> Iterator[Path]:
        """Yield the folders in it, by name. Links are not followed."""
        yield from sorted(each for each in self.path.iterdir() if is_folder(each))

    def open(self, *names: str) -> BinaryIO:
        """Return a file in it, opened for reading.

        Raises:
            UnreadableFileError: If it is no regular file, or a link leads out of the folder.
        """
        path = self.path.joinpath(*names)
        try:
            if self._may_lead_out(names):
                path = path.resolve(strict=True)
                if not path.is_relative_to(self.path.resolve()):
                    raise UnreadableFileError(f"{'/'.join(names)} leads out of the folder")
            return open_regular(path)
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnreadableFileError(f"{path} cannot be read: {reason}") from error

    def _may_lead_out(self, names: tuple[str, ...]) -> bool:
        """Return whether a path has links. Resolving each path would take several times longer."""
        relative = Path(*names)
        if relative.is_absolute() or ".." in relative.parts:
            return True
        parents = [self.path / parent for parent in relative.parents]
        return any(each.is_symlink() for each in (*parents[:-1], self.path / relative))

    def read(self, *names: str, limit: int = MAX_BYTES) -> str:
        """Return the text of a file in it; invalid bytes become question marks.

        Raises:
            UnreadableFileError: If it cannot be read, or is too large.
        """
        with self.open(*names) as file:
            return _read(file, "/".join(names), limit)

    def tail(self, *names: str, count: int = 4096) -> str:
        """Return the last bytes of a file in it as text; empty if it cannot be read."""
        try:
            with self.open(*names) as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - count))
                return file.read(count).decode("utf-8", "replace")
        except (UnreadableFileError, OSError):
            return ""

    def json_map(self, *names: str) -> dict[str, Any]:
        """Return the JSON object in a file in it.

        Raises:
            UnreadableFileError: If it cannot be read, or has something else.
        """
        return parse_map(self.read(*names), "/".join(names))

    def json_lines(self, *names: str) -> Iterator[dict[str, Any] | None]:
        """Yield the JSON object in each line of a file in it, and None for a line without one.

        Raises:
            UnreadableFileError: If it cannot be read.
        """
        with self.open(*names) as file:
            yield from json_lines(file)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and not a link."""
    return path.is_dir() and not path.is_symlink()


def read_file(path: Path) -> str:
    """Return the text of a file that the user names; invalid bytes become question marks.

    Raises:
        UnreadableFileError: If it cannot be read, or is too large.
    """
    try:
        with open_regular(path) as file:
            return _read(file, path.name, MAX_BYTES)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(file: BinaryIO, name: str, limit: int) -> str:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise UnreadableFileError(f"{name} is larger than the limit of {format_bytes(limit)}")
    return data.decode("utf-8-sig", "replace")


def parse_map(text: str, name: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Raises:
        UnreadableFileError: If it is something else, or nested too deeply.
    """
    try:
        data = json.loads(text)
    except _JSON_ERRORS as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UnreadableFileError(f"{name} is not JSON: {reason}") from error
    if not is_map(data):
        raise UnreadableFileError(f"{name} is not a JSON object")
    return data


def json_lines(file: BinaryIO) -> Iterator[dict[str, Any] | None]:
    """Yield the JSON object in each line of a file, and None for a line without one."""
    while line := file.readline(MAX_LINE):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except _JSON_ERRORS:
            data = None
        yield data if is_map(data) else None


def json_items(text: str, key: str, name: str) -> Iterator[Any]:
    """Yield the items of the list at a key of the outermost JSON object, one at a time.

    Raises:
        UnreadableFileError: If the text is no such object.
    """
    decoder = json.JSONDecoder()
    try:
        position = _skip(text, 0, "{")
        while True:
            found, position = decoder.raw_decode(text, _skip_space(text, position))
            position = _skip_space(text, _skip(text, position, ":"))
            if found == key:
                break
            _, position = decoder.raw_decode(text, position)
            position = _skip(text, position, ",")
        position = _skip_space(text, _skip(text, position, "["))
        while text[position] != "]":
            item, position = decoder.raw_decode(text, position)
            yield item
            position = _skip_space(text, position)
            if text[position] == ",":
                position = _skip_space(text, position + 1)
    except (*_JSON_ERRORS, IndexError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UnreadableFileError(f"{name} has no readable list {key}: {reason}") from error


def _skip(text: str, position: int, mark: str) -> int:
    position = _skip_space(text, position)
    if text[position] != mark:
        raise ValueError(f"expected {mark} at character {position}")
    return position + 1


def _skip_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position
