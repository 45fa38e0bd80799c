"""The files that a trial left where it ran: its outputs and checkpoints."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.study.regular_files import open_regular

OUTPUT, CHECKPOINT = "output", "checkpoint"
"""The folders of fetched files."""
PART_BYTES = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True)
class StoredFile:
    """A file where the trial left it."""

    address: str
    size: int
    version: str = ""
    """What changes with the content, such as an ETag; empty if the store has no such thing."""
    md5: str = ""
    """The MD5 hash in hexadecimal digits, if the store knows it."""


Read = Callable[[StoredFile, int], Iterator[bytes]]
"""Yields the content of a file from a byte on. Raises `ProviderError` or `OSError`."""


@dataclass(frozen=True)
class TrialFiles:
    """The files of a trial."""

    read: Read
    files: Mapping[str, StoredFile]
    """By the path that they are to have, with slashes: whatever the trial or the store has."""
    archives: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those that are ``.tar.gz`` archives to unpack, with the folder for their content."""
    missing: tuple[str, ...] = ()
    """What cannot be fetched, and why."""


def local_files(folders: Mapping[str, str | Path], *missing: str) -> TrialFiles:
    """Return the files in folders of this machine; absent folders are empty.

    Args:
        folders: The folders, by the path that they are to have.
        *missing: What cannot be fetched, and why.

    Raises:
        OSError: If a folder cannot be read.
    """
    files: dict[str, StoredFile] = {}
    skipped = list(missing)
    for prefix, folder in folders.items():
        found, links = list_folder(str(folder))
        listed, unfollowed = follow_links(found, links, str(folder))
        files |= {f"{prefix}/{name}": file for name, file in listed.items()}
        skipped += [f"{prefix}/{each}" for each in (*unfollowed, *_others(str(folder)))]
    return TrialFiles(read_file, files, missing=tuple(skipped))


def read_file(file: StoredFile, start: int) -> Iterator[bytes]:
    """Yield the content of a file of this machine from a byte on.

    Raises:
        OSError: If it cannot be read, or is not a regular file any more.
    """
    with open_regular(file.address, follow=False) as content:
        content.seek(start)
        while part := content.read(PART_BYTES):
            yield part


def follow_links(
    files: Mapping[str, StoredFile], links: Mapping[str, str], folder: str
) -> tuple[dict[str, StoredFile], list[str]]:
    """Return files and links to them by name, and descriptions of all other links.

    A link to a file of the same folder becomes a copy. One that leads anywhere else is not
    followed: what is there was not written by the trial.

    Args:
        files: The regular files of a folder, by relative name.
        links: The targets of its links.
        folder: The path of the folder.
    """
    followed = dict(files)
    skipped: list[str] = []
    for name, target in sorted(links.items()):
        path = posixpath.join(folder, posixpath.dirname(name), target)
        inner = posixpath.relpath(posixpath.normpath(path), folder)
        if inner in files:
            followed[name] = files[inner]
        else:
            skipped.append(f"{name}: a link to {target}, which is not a file of the trial")
    return followed, skipped


def list_folder(folder: str) -> tuple[dict[str, StoredFile], dict[str, str]]:
    """Return the regular files below a folder and the targets of its links, by relative name.

    Without the folder there are none.

    Raises:
        OSError: If the folder cannot be read.
    """
    files: dict[str, StoredFile] = {}
    links: dict[str, str] = {}

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, _, _ in os.walk(folder, onerror=fail):
        for entry in os.scandir(parent):
            name = os.path.relpath(entry.path, folder)
            if entry.is_symlink():
                links[name] = os.readlink(entry.path)  # noqa: PTH115
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                version = f"{status.st_mtime_ns} {status.st_ino}"
                files[name] = StoredFile(entry.path, status.st_size, version)
    return files, links


def _others(folder: str) -> Iterator[str]:
    """Yield descriptions of what is no file and no link below a folder."""
    for parent, _, _ in os.walk(folder):
        entries = list(os.scandir(parent))
        if not entries and parent != folder:
            yield f"{os.path.relpath(parent, folder)}: an empty folder"
        for entry in entries:
            is_known = entry.is_symlink() or entry.is_file() or entry.is_dir()
            if not is_known:
                yield f"{os.path.relpath(entry.path, folder)}: no file, but a pipe or a device"
