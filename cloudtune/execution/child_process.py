"""The process of a trial, either started cold or forked by the fork server."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from cloudtune.execution.fds import open_exit_fd
from cloudtune.execution.forkserver import overlay, server

_MESSAGE_SIZE = struct.calcsize(server.MESSAGE_FORMAT)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; all its processes may have ended."""
    with suppress(ProcessLookupError, PermissionError):  # macOS reports that as a lack of rights
        os.killpg(pid, number)


def cold_command(
    command: Sequence[str], cwd: str, env: Mapping[str, str], lower: str | None
) -> list[str]:
    """Return the command of a process, which first mounts `lower` on its folder if it is given.

    Raises:
        FileNotFoundError: If the mount hides that there is no such program.
    """
    if lower is None:
        return list(command)
    path = os.path.join(lower, command[0]) if os.sep in command[0] else command[0]  # noqa: PTH118
    if shutil.which(path, path=env.get("PATH", os.defpath)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return [sys.executable, "-I", "-S", overlay.__file__, lower, cwd, *command]


class ColdChild:
    """A child of this process."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid

    @cached_property
    def exit_fd(self) -> int:
        """A file descriptor that becomes readable on exit; `collect` closes it."""
        return open_exit_fd(self._popen)

    def collect(self) -> int:
        """Wait for the exit; return the exit code or a negative signal."""
        code = self._popen.wait()
        if "exit_fd" in self.__dict__:
            os.close(self.exit_fd)
        return code


class ForkedChild:
    """A child of the fork server."""

    def __init__(self, pid: int, status_fd: int) -> None:
        """Take ownership of the file descriptor on which the server reports the child's status."""
        self.pid = pid
        self.exit_fd = status_fd

    def collect(self) -> int | str:
        """Wait for the exit; return the exit code, a negative signal, or why it is unknown."""
        try:
            letter, code = read_message(self.exit_fd)
        finally:
            os.close(self.exit_fd)
        return code if letter == "x" else "the fork server that forked it was killed"


Child = ColdChild | ForkedChild
"""The leader of a process group. Its id is not reused before it is collected."""


def read_message(status_fd: int) -> tuple[str, int]:
    """Return the fork server's next status message; its letter is empty if the server ended."""
    data = os.read(status_fd, _MESSAGE_SIZE)
    if len(data) < _MESSAGE_SIZE:
        return "", 0
    letter, number = struct.unpack(server.MESSAGE_FORMAT, data)
    return letter.decode(), number
