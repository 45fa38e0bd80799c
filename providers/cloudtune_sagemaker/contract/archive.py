"""Unpacking the archive with a job's code as the training toolkit does, without trusting it.

A name that leads out of the folder is cut to one that does not; a device, or a link to a place
outside, is left out (sagemaker-training 5.1.4). More than an image would hold is refused.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO

from cloudtune.errors import CloudtuneError

MOST_BYTES = 8 * 1024**3
MOST_MEMBERS = 200_000
_PADDING = 1024 * 1024
"""Bytes of nothing that may stand behind the last member."""


class BadArchive(CloudtuneError):  # noqa: N818 - the job's mistake, and no error of ours
    """An archive that cannot be unpacked, or not here."""


def unpack(archive: Path, folder: Path) -> list[str]:
    """Unpack a ``.tar.gz`` into an empty folder; return what was left out or renamed, and why.

    A folder that holds something already is left as it is, as the toolkit does.

    Raises:
        BadArchive: If it is no archive, is broken, or holds more than `MOST_BYTES` or
            `MOST_MEMBERS`.
        OSError: If this machine cannot.
    """
    if any(folder.iterdir()):
        return [f"{folder} is not empty, so that the archive is not unpacked"]
    root = folder.resolve()
    notes: list[str] = []
    size = 0
    try:
        with gzip.open(archive) as data, tarfile.open(fileobj=data, mode="r:") as tar:
            for count, member in enumerate(tar, 1):
                size += max(member.size, 0)
                if size > MOST_BYTES or count > MOST_MEMBERS:
                    raise BadArchive("the archive with the source holds more than one may")
                note = _extract(tar, member, root)
                if note:
                    notes.append(f"{member.name!r}: {note}")
            data.read(_PADDING)  # up to its end, where the checksum stands
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadArchive(f"the archive with the source is no whole .tar.gz: {error}") from error
    return notes


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> str:
    """Put one member into the folder; return what is odd about it."""
    parts = [part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".")]
    inner = [part for part in parts if part != ".."]
    if not inner:
        return "left out, since no name is left of it" if ".." in parts else ""
    note = "leads out of the folder and was renamed" if _leads_out(member.name, parts) else ""
    target = root.joinpath(*inner)
    if not _is_within(target.parent.resolve() / target.name, root):
        return "left out, since it leads out of the folder by a link"
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return note
    if not (member.isreg() or member.issym() or member.islnk()):
        return "left out, since it is a device"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    if member.isreg():
        file = tar.extractfile(member)
        assert file is not None
        _write(file, target, member.mode)
        return note
    start = target.parent if member.issym() else root
    aim = (start / member.linkname).resolve()
    if not _is_within(aim, root):
        return f"left out, since it is a link to {member.linkname!r}"
    if member.issym():
        target.symlink_to(member.linkname)
    elif aim.is_file():
        shutil.copy2(aim, target)
    return note


def _leads_out(name: str, parts: list[str]) -> bool:
    return name.startswith(("/", "\\")) or ".." in parts


def _is_within(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(root)  # noqa: PTH100 - without links


def _write(file: IO[bytes], target: Path, mode: int) -> None:
    with target.open("xb") as copy:
        shutil.copyfileobj(file, copy)
    target.chmod(0o600 | (mode & 0o755 if mode & 0o100 else mode & 0o644))
