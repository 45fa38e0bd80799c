"""File descriptors by which a thread hears of a process: pipes, a bell, the process's end."""

from __future__ import annotations

import errno
import os
import select
import stat
import subprocess
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_BLOCK = 64 * 1024
PIDFD_UNSUPPORTED = {errno.ENOSYS, errno.EPERM}
"""How kernels and sandboxes say that they have no file descriptors for processes."""


class WakeupPipe:
    """What another thread wakes a waiting one by."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def open(self) -> int:
        """Return the end that becomes readable, with nothing in it.

        Raises:
            OSError: If there can be no more open files.
        """
        if self._ends is None:
            self._ends = os.pipe()
            for end in self._ends:
                os.set_blocking(end, False)
        drain(self._ends[0])
        return self._ends[0]

    def ring(self) -> None:
        """Make the end readable."""
        if self._ends:
            with suppress(BlockingIOError):
                os.write(self._ends[1], b"\0")

    def close(self) -> None:
        """Close both ends."""
        for end in self._ends or ():
            os.close(end)


def open_fifo(path: str | Path) -> int:
    """Return the open end of a FIFO, which is made if need be.

    Raises:
        OSError: If it can be neither opened nor made.
    """
    try:
        is_bell = stat.S_ISFIFO(os.lstat(path).st_mode)
        if not is_bell:
            os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        is_bell = False
    if not is_bell:
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)


def create_poll(ends: Iterable[int]) -> select.poll:
    """Return what waits until one of the ends has something to read."""
    waiting = select.poll()
    for end in ends:
        waiting.register(end, select.POLLIN)
    return waiting


def has_writer(end: int) -> bool:
    """Tell whether anybody still has the writing end of a pipe."""
    waiting = select.poll()
    waiting.register(end, 0)
    return not any(event & select.POLLHUP for _, event in waiting.poll(0))


def open_exit_fd(popen: subprocess.Popen[bytes]) -> int:
    """Return a file descriptor that becomes readable when a process ends."""
    if hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(popen.pid)
        except OSError as error:
            if error.errno not in PIDFD_UNSUPPORTED:
                raise
    read, write = os.pipe()

    def wait() -> None:
        popen.wait()
        os.close(write)

    threading.Thread(target=wait, daemon=True).start()
    return read


def drain(end: int) -> None:
    """Read all that is there, for no other purpose than that nothing is."""
    try:
        while os.read(end, _BLOCK):
            pass
    except BlockingIOError:
        return
