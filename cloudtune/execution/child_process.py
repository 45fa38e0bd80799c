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
from pathlib import Path

from cloudtune.execution.fds import open_exit_fd
from cloudtune.execution.forkserver import overlay, server

_MESSAGE_SIZE = struct.calcsize(server.MESSAGE_FORMAT)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; all its processes may have ended."""
    with suppress(ProcessLookupError, PermissionError):  # macOS reports that as a lack of rights
        os.killpg(pid, number)


def handles_sigterm(pid: int) -> bool:
    """Return whether a process may have a way of its own to end at SIGTERM.

    It has none if the signal kills it or is ignored. Only Linux tells.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        masks = int(lines["SigCgt"], 16) | int(lines["SigBlk"], 16)
    except (OSError, KeyError, ValueError):
        return True
    return bool(masks >> (signal.SIGTERM - 1) & 1)


class ColdChild:
    """A child of this process."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        outputs: tuple[int, int],
        lower: str | None = None,
    ) -> None:
        """Start a process, which first mounts `lower` on its folder if it is given.

        `outputs` are the file descriptors for its standard output and error.

        Raises:
            OSError: If it cannot be started.
            ValueError: If an argument or variable contains a null byte.
        """
        self.start_error: OSError | None = None
        """After `collect`: why the mount, or the start after it, failed."""
        self._errors: int | None = None
        errors_end: int | None = None
        words = list(command)
        try:
            if lower is not None:
                _require_program(command[0], lower, env)
                self._errors, errors_end = os.pipe()
                wrapper = [sys.executable, "-I", "-S", overlay.__file__, str(errors_end)]
                words = [*wrapper, lower, cwd, *command]
            self._popen = subprocess.Popen(
                words,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=outputs[0],
                stderr=outputs[1],
                start_new_session=True,
                pass_fds=() if errors_end is None else [errors_end],
            )
        except BaseException:
            if self._errors is not None:
                os.close(self._errors)
            raise
        finally:
            if errors_end is not None:
                os.close(errors_end)
        self.pid = self._popen.pid

    @cached_property
    def exit_fd(self) -> int:
        """A file descriptor that becomes readable on exit; `collect` closes it."""
        return open_exit_fd(self._popen)

    def collect(self) -> int:
        """Wait for the exit; return the exit code or a negative signal."""
        code = self._popen.wait()
        if "exit_fd" in self.__dict__:
            os.close(self.exit_fd)
        if self._errors is not None:
            number, _, text = os.read(self._errors, 4096).decode().partition(" ")
            if number:
                self.start_error = OSError(int(number), text)
            os.close(self._errors)
        return code


class ForkedChild:
    """A child of the fork server."""

    start_error = None

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


def _require_program(name: str, lower: str, env: Mapping[str, str]) -> None:
    """Check that a program exists, although it may be visible only after the mount."""
    path = os.path.join(lower, name) if os.sep in name else name  # noqa: PTH118
    if shutil.which(path, path=env.get("PATH", os.defpath)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


Child = ColdChild | ForkedChild
"""The leader of a process group. Its id is not reused before it is collected."""


def read_message(status_fd: int) -> tuple[str, int]:
    """Return the fork server's next status message; its letter is empty if the server ended."""
    data = os.read(status_fd, _MESSAGE_SIZE)
    if len(data) < _MESSAGE_SIZE:
        return "", 0
    letter, number = struct.unpack(server.MESSAGE_FORMAT, data)
    return letter.decode(), number
