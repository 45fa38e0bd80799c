"""The archive in which the code of a trial travels: one tar.gz, the same content the same bytes."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_LONG_AGO = 946_684_800  # the start of 2000: no zip file, and so no wheel, goes back before 1980


def write_archive(
    target: Path, source: Path | None, folder: str, extra: Mapping[str, bytes]
) -> None:
    """Write a tar.gz of a snapshot and of files of our own: the same content, the same bytes.

    Args:
        target: The file.
        source: The folder that `snapshot` made; all that it holds is packed.
        folder: Where the snapshot's files are put in the archive.
        extra: What each of our own files holds, by its name in the archive.

    Raises:
        OSError: If a file cannot be read, or the archive not be written.
    """
    with (
        target.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(extra):
            entry = _entry(name)
            entry.size = len(extra[name])
            tar.addfile(entry, io.BytesIO(extra[name]))
        for name in sorted(_everything(source), key=os.fsencode) if source else ():
            _pack(tar, Path(source or "", name), f"{folder}/{name}")


def _pack(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = _entry(name)
    if path.is_symlink():
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(path)  # noqa: PTH115 - a Path would lose a slash at the end
        tar.addfile(entry)
        return
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        entry.size = status.st_size
        entry.mode = 0o700 if status.st_mode & stat.S_IXUSR else 0o600
        tar.addfile(entry, file)


def _entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime = _LONG_AGO
    entry.mode = 0o600
    return entry


def _everything(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in [*names, *links]:
            yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 - Path is slow
