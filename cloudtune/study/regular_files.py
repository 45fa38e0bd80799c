"""Files of users: only regular ones are opened, and what is read as a whole has a limit.

A named pipe would block for ever, and a link to a device such as /dev/zero has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

MAX_BYTES = 16 * 1024**2
"""The largest file that is read as a whole, unless another limit is given."""


def open_regular(path: str | Path, *, follow: bool = True) -> BufferedReader:
    """Return a regular file, opened for reading.

    Args:
        path: The file.
        follow: Whether it may be a link.

    Raises:
        OSError: If it cannot be opened or is something else, such as a pipe or a device.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_BINARY", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: str | Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: If it cannot be read, is something else, or is larger than the limit.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        limit = f"larger than the limit of {max_bytes / 1024**2:g} MiB"
        raise OSError(errno.EFBIG, limit, str(path))
    return data
