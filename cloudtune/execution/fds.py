"""File descriptors on which a thread waits: pipes, FIFOs and process exits."""

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
"""Errors of kernels and sandboxes without file descriptors for processes."""


class WakeupPipe:
    """Lets another thread wake a thread that waits on file descriptors."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def open(self) -> int:
        """Return the file descriptor that `ring` makes readable; the pipe is empty.

        Raises:
            OSError: If the process has too many open files.
        """
        if self._ends is None:
            self._ends = os.pipe()
            for end in self._ends:
                os.set_blocking(end, False)
        drain(self._ends[0])
        return self._ends[0]

    def ring(self) -> None:
        """Make the file descriptor readable."""
        if self._ends:
            with suppress(BlockingIOError):
                os.write(self._ends[1], b"\0")

    def close(self) -> None:
        """Close both ends."""
        for end in self._ends or ():
            os.close(end)


def open_fifo(path: str | Path) -> int:
    """Return a file descriptor of a FIFO; create it, or replace another file, if necessary.

    Raises:
        OSError: If the FIFO cannot be opened or created.
    """
    try:
        is_fifo = stat.S_ISFIFO(os.lstat(path).st_mode)
        if not is_fifo:
            os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        is_fifo = False
    if not is_fifo:
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)


def create_poll(fds: Iterable[int]) -> select.poll:
    """Return a poll object that waits until one of the file descriptors is readable."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return poll


def is_readable(fd: int) -> bool:
    """Return whether a file descriptor is readable now."""
    return bool(create_poll([fd]).poll(0))


def has_writer(read_end: int) -> bool:
    """Return whether any process holds the write end of a pipe."""
    poll = select.poll()
    poll.register(read_end, 0)
    return not any(event & select.POLLHUP for _, event in poll.poll(0))


def open_exit_fd(popen: subprocess.Popen[bytes]) -> int:
    """Return a file descriptor that becomes readable when a child process exits."""
    if hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(popen.pid)
        except OSError as error:
            if error.errno not in PIDFD_UNSUPPORTED:
                raise
    read_end, write_end = os.pipe()

    def wait() -> None:
        popen.wait()
        os.close(write_end)

    threading.Thread(target=wait, daemon=True).start()
    return read_end


def drain(fd: int) -> None:
    """Discard all available data."""
    try:
        while os.read(fd, _BLOCK):
            pass
    except BlockingIOError:
        return
