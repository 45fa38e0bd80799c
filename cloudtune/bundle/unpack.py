"""Unpacks an archive without trusting it.

A name that leads out of the folder is shortened; a device, and a link to a path outside, are
skipped, as sagemaker-training 5.1.4 does. An archive with too much content is refused.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path

from cloudtune.errors import CloudtuneError

MAX_BYTES = 8 * 1024**3
MAX_MEMBERS = 200_000
_PADDING = 1024 * 1024
"""Zero bytes after the last member."""


class BadArchive(CloudtuneError):  # noqa: N818 - a failure of the job, not of cloudtune
    """The archive cannot be unpacked."""


def unpack(archive: Path, folder: Path, max_bytes: int | None = None) -> list[str]:
    """Unpack a ``.tar.gz`` into an empty folder; return which members were skipped or renamed.

    A folder that is not empty is not changed.

    Raises:
        BadArchive: If the file is not an archive, is damaged, or has more than ``max_bytes``, by
            default `MAX_BYTES`, or `MAX_MEMBERS`.
        OSError: If a file cannot be written.
    """
    if any(folder.iterdir()):
        return [f"{folder} is not empty, so the archive is not unpacked"]
    root = folder.resolve()
    notes: list[str] = []
    size = 0
    limit = MAX_BYTES if max_bytes is None else max_bytes
    try:
        with gzip.open(archive) as data, tarfile.open(fileobj=data, mode="r:") as tar:
            for count, member in enumerate(tar, 1):
                size += max(member.size, 0)
                if size > limit or count > MAX_MEMBERS:
                    raise BadArchive(f"the archive {archive.name} is too large")
                note = _extract(tar, member, root)
                if note:
                    notes.append(f"{member.name!r}: {note}")
            data.read(_PADDING)  # to the end, which has the checksum
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadArchive(f"{archive.name} is not a complete .tar.gz: {error}") from error
    return notes


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> str:
    """Unpack one member; return why it was skipped or renamed."""
    parts = [part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".")]
    inner = [part for part in parts if part != ".."]
    if not inner:
        return "skipped: it has no name" if ".." in parts else ""
    leads_out = member.name.startswith(("/", "\\")) or ".." in parts
    note = "renamed: it leads out of the folder" if leads_out else ""
    target = root.joinpath(*inner)
    if not _is_within(target.parent.resolve() / target.name, root):
        return "skipped: it leads out of the folder by a link"
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return note
    if not (member.isreg() or member.issym() or member.islnk()):
        return "skipped: it is a device"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    if member.isreg():
        file = tar.extractfile(member)
        assert file is not None
        with target.open("xb") as copy:
            shutil.copyfileobj(file, copy)
        target.chmod(0o600 | member.mode & (0o755 if member.mode & 0o100 else 0o644))
        return note
    start = target.parent if member.issym() else root
    destination = (start / member.linkname).resolve()
    if not _is_within(destination, root):
        return f"skipped: it is a link to {member.linkname!r}"
    if member.issym():
        target.symlink_to(member.linkname)
    elif destination.is_file():
        shutil.copy2(destination, target)
    return note


def _is_within(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(root)  # noqa: PTH100 - without links
