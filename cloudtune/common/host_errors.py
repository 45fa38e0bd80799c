"""Errors of this machine, such as a full disk, as opposed to mistakes in code."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROCESS_LIMIT = (
    "raise the limit of processes (`ulimit -u`, or the container's pids limit), or lower "
    "limits.parallel_trials"
)
_MEMORY = "free memory, or lower limits.parallel_trials"
_REMEDIES = {
    errno.ENOSPC: "free space or inodes there (`df`, `df -i`)",
    errno.EDQUOT: "free space in your quota",
    errno.EFBIG: "raise the limit of the size of files (`ulimit -f`)",
    errno.EAGAIN: _PROCESS_LIMIT,
    errno.ENOMEM: _MEMORY,
    errno.EMFILE: "raise the limit of open files (`ulimit -n`), or lower limits.parallel_trials",
    errno.ENFILE: "close programs that have many files open",
    errno.EROFS: "make it writable",
    errno.EIO: "check the disk",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 4096
"""Bytes of a block of most file systems."""


def describe_host_error(error: BaseException) -> str | None:
    """Return what this machine lacks and what to do, or None if an error has another cause."""
    no_library = isinstance(error, ImportError) and "failed to map segment" in str(error)
    if isinstance(error, MemoryError) or no_library:
        return f"not enough memory; {_MEMORY}"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return f"no more threads can be started; free memory, or {_PROCESS_LIMIT}"
    if isinstance(error, OSError) and (remedy := _REMEDIES.get(error.errno or 0)):
        what = error.strerror or str(error)
        if error.errno == errno.EAGAIN:
            what = f"no more processes can be started ({what})"
        return f"{_file_prefix(error)}{what}; {remedy}"
    return None


def describe_full_disk(folder: Path, error: str) -> str | None:
    """Return what to do if a program that wrote to a folder failed because a disk is full.

    Args:
        folder: The folder, to which a block is written and removed.
        error: The program's error message, which may concern another disk.

    Returns:
        None if the folder can be written and the message has another cause.
    """
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_BLOCK))
    except OSError as write_error:
        if write_error.errno in _FULL:
            write_error.filename = str(folder)
            return describe_host_error(write_error)
    full = next((number for number in _FULL if os.strerror(number) in error), None)
    return _REMEDIES[full] if full else None


def _file_prefix(error: OSError) -> str:
    return f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
