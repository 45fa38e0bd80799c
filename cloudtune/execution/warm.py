"""Our end of the preloaded process: starts it, has it fork trials, and gives it up in time."""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cloudtune.execution import keeper, preloaded
from cloudtune.execution.child import Forked, next_message, signal_group
from cloudtune.execution.guard import Guard
from cloudtune.execution.log import readable_tail

LONGEST_PRELOAD = 60.0
"""Seconds that the imports may take."""
LONGEST_START = 10.0
"""Seconds in which a forked process has to reach its script."""
_MOST_LOST = 2
"""Preloaded processes that may be killed before trials are started cold."""
_ROOM = 24
"""Characters that the mark of one process may need more than that of all."""
_MOST_SAID = 64 * 1024
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Preload:
    """What is imported once, for scripts that are all run by one Python."""

    python: str
    env: Mapping[str, str]
    """The environment of all scripts, as far as it is the same."""
    cwd: str
    """A folder that is like those in which the scripts run."""
    folder: str
    """The folder, like those of the scripts, in which their own modules are looked for first."""
    imports: Sequence[tuple[str, Sequence[str]]]
    """Modules, each with the names that are taken from it."""
    required: bool
    """Whether each of them must be there."""
    source: Sequence[str]
    """Folders whose modules are never preloaded: they are the scripts' own."""


class Warm:
    """Forks processes from a preloaded one, which it starts with the first of them.

    Calls of `fork` come one at a time.
    """

    def __init__(
        self, preload: Preload, mark: str, guard: Guard, say: Callable[[str], None]
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            preload: What is preloaded.
            mark: What the marks of all processes begin with.
            guard: Ends the preloaded process should we die.
            say: Is told once why processes are started cold, if they are.
        """
        self._preload = preload
        self._mark = mark
        self._guard = guard
        self._say = say
        self._popen: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lost = 0
        self._off = False

    def fork(
        self,
        command: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        mark: str,
        output: int,
        woken: int,
    ) -> Forked | None:
        """Return a new process that runs a script, or None where it is to be started cold.

        Args:
            command: The preload's Python, the script or ``-m`` and the module, and its words.
            cwd: Where it runs.
            env: Its whole environment.
            mark: What it carries in ``CLOUDTUNE_RUN``, also in ``env``.
            output: Where its output goes.
            woken: Readable when it is to be stopped; then, too, there is none.
        """
        job = {"command": list(command), "cwd": cwd, "env": dict(env), "mark": mark}
        message = json.dumps(job).encode()
        while not self._off:
            if not self._is_ready(woken):
                return None
            told, status = os.pipe()
            pid: int | None = None
            try:
                self._send(message, (output, status))
                os.close(status)
                status = -1
                pid = self._started(told)
            except OSError as error:
                self._give_up(str(error.strerror or error))
            except _Stuck as stuck:
                self._give_up(str(stuck))
            finally:
                if status >= 0:
                    os.close(status)
                if pid is None:
                    os.close(told)
            if pid is not None:
                return Forked(pid, told)
            if not self._off:
                self._lose()
        return None

    def close(self) -> None:
        """Let the preloaded process go, and kill it if it does not."""
        if self._popen is None:
            return
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        try:
            self._popen.wait(1)
        except subprocess.TimeoutExpired:
            signal_group(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        self._guard.remove(self._popen.pid)
        self._popen = None

    def _is_ready(self, woken: int) -> bool:
        """Have a preloaded process; return whether there is one now."""
        if self._popen is not None and self._popen.poll() is not None:
            self._lose()
        if self._popen is None and not self._off:
            why = self._start(woken)
            if why is None:
                return False  # its trial is to end, and the next one waits anew
            if why:
                self.close()
                self._give_up(why)
        return not self._off

    def _lose(self) -> None:
        self.close()
        self._lost += 1
        if self._lost >= _MOST_LOST:
            self._give_up(f"the preloaded process was ended {self._lost} times")

    def _give_up(self, why: str) -> None:
        """Start what comes cold. Processes that were forked before go on."""
        if not self._off:
            self._off = True
            self._say(f"trials start without a preloaded process: {why[:_LONGEST_REASON]}")

    def _start(self, woken: int) -> str | None:
        """Start one and wait for its imports; return why it is of no use, None if that is open."""
        if self._socket is None:
            try:
                said = self._spawn()
            except OSError as error:
                return str(error.strerror or error)
        assert self._socket is not None
        self._socket.setblocking(True)
        return ""

    def _spawn(self) -> int:
        raise NotImplementedError
