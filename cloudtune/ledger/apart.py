"""Telling a file system that the folders in a folder have nothing to do with each other."""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

_READ, _WRITE = 0x80086601, 0x40086602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of Linux, on machines whose long has 64 bits (fs.h)."""
_MACHINES = {"x86_64", "aarch64"}
"""Where these numbers hold."""
_TOP = 0x00020000
"""FS_TOPDIR_FL (fs.h): the ``T`` of chattr(1), "top of directory hierarchies"."""


def keep_apart(folder: Path) -> None:
    """Ask for the folders in this one to be spread over the disk, as those of users in /home are.

    ext4 makes a folder near the one around it. When it makes a file there it passes over each inode
    near by that was deleted in the last minutes, which after many deletions takes longer than all
    else about a small file. Elsewhere nothing happens.
    """
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return
    import fcntl

    with suppress(OSError):  # another file system, or another's folder
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            (flags,) = struct.unpack("q", fcntl.ioctl(opened, _READ, bytes(8)))
            fcntl.ioctl(opened, _WRITE, struct.pack("q", flags | _TOP))
        finally:
            os.close(opened)
