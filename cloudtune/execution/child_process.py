"""The process of a trial, as whoever watches it has it: started cold, or forked elsewhere."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from contextlib import suppress
from typing import Protocol

from cloudtune.execution.fds import open_exit_fd
from cloudtune.execution.forkserver import server

_SIZE = struct.calcsize(server.MESSAGE_FORMAT)


class Child(Protocol):
    """A process that leads a group of its own, until it is collected."""

    @property
    def pid(self) -> int:
        """Its number, which is its group's too, and nobody else's before it is collected."""
        ...

    @property
    def exited(self) -> int:
        """A file descriptor that becomes readable when it ends; closed by `collect`."""
        ...

    def collect(self) -> int | str:
        """Wait for its end; return its exit code, a signal below 0, or why nobody knows."""
        ...


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a group, all of which may have ended."""
    with suppress(ProcessLookupError, PermissionError):  # macOS tells of that by refusing
        os.killpg(pid, number)


class ColdChild:
    """A process that we started."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid
        self._exited: int | None = None

    @property
    def exited(self) -> int:
        """A file descriptor that becomes readable when it ends."""
        if self._exited is None:
            self._exited = open_exit_fd(self._popen)
        return self._exited

    def collect(self) -> int | str:
        """Wait for its end and return its exit code."""
        code = self._popen.wait()
        if self._exited is not None:
            os.close(self._exited)
        return code


class ForkedChild:
    """A process that the preloaded process has forked, and tells of."""

    def __init__(self, pid: int, told: int) -> None:
        """Take over the file descriptor over which the preloaded process tells of it."""
        self.pid = pid
        self.exited = told

    def collect(self) -> int | str:
        """Wait for its end, let the preloaded process collect it, and return its exit code."""
        try:
            letter, code = read_message(self.exited)
        finally:
            os.close(self.exited)
        return code if letter == "x" else "the preloaded process from which it was forked was ended"


def read_message(told: int) -> tuple[str, int]:
    """Return the next message of the preloaded process on a process; no letter at its end."""
    said = os.read(told, _SIZE)
    if len(said) < _SIZE:
        return "", 0
    letter, number = struct.unpack(server.MESSAGE_FORMAT, said)
    return letter.decode(), number
