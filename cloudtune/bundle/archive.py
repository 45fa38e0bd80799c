"""The reproducible tar.gz archive with the code of a trial."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloudtune.study.regular_files import open_regular

_MODIFIED = 946_684_800  # the start of 2000: zip files, and so wheels, need 1980 or later


def write_archive(
    target: Path, source: Path | None, folder: str, extra: Mapping[str, bytes]
) -> None:
    """Write a tar.gz archive. Equal contents result in equal bytes.

    Args:
        target: The archive.
        source: A folder to add completely, such as a copy by `cloudtune.bundle.files.copy_files`.
        folder: The folder in the archive for the files of ``source``.
        extra: The contents of additional files, by name in the archive.

    Raises:
        OSError: If a file cannot be read, or the archive cannot be written.
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
        for name in sorted(_list_all(source), key=os.fsencode) if source else ():
            _add(tar, Path(source or "", name), f"{folder}/{name}")


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = _entry(name)
    if path.is_symlink():
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(path)  # noqa: PTH115 - a Path loses a trailing slash
        tar.addfile(entry)
        return
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        entry.size = status.st_size
        entry.mode = 0o700 if status.st_mode & stat.S_IXUSR else 0o600
        tar.addfile(entry, file)


def _entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime = _MODIFIED
    entry.mode = 0o600
    return entry


def _list_all(folder: Path) -> Iterator[str]:
    for path, folders, names in os.walk(folder):
        links = [name for name in folders if Path(path, name).is_symlink()]
        for name in [*names, *links]:
            yield os.path.relpath(os.path.join(path, name), folder)  # noqa: PTH118 - Path is slow
