"""Our end of the preloaded process: starts it, has it fork trials, and gives it up in time."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from cloudtune.execution import reaper
from cloudtune.execution.child_process import ForkedChild, read_message, signal_group
from cloudtune.execution.fds import create_poll
from cloudtune.execution.forkserver import server
from cloudtune.execution.forkserver.import_scan import Import
from cloudtune.execution.log_file import readable_tail
from cloudtune.execution.reaper_client import ReaperClient

PRELOAD_TIMEOUT = 60.0
"""Seconds that the imports may take."""
PROBE_TIMEOUT = 10.0
"""Seconds that a first fork, which runs nothing, may take."""
START_TIMEOUT = 10.0
"""Seconds in which a forked process has to reach its script."""
_MOST_LOST = 2
"""Preloaded processes that may be killed before trials are started cold."""
_ROOM = 24
"""Characters that the mark of one process may need more than that of all."""
_MOST_SAID = 16 * 1024
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
    """The folder in it in which the scripts' own modules are looked for first."""
    imports: Sequence[Import]
    required: bool
    """Whether each of them must be there."""
    quiet: bool
    """Whether what the imports print is not to be seen."""
    source: Sequence[str]
    """Folders whose modules are never preloaded: they are the scripts' own."""


class _Useless(Exception):  # noqa: N818 - the reason for a cold start, and no error
    """No trial can be forked from this preloaded process."""


class _Lost(Exception):  # noqa: N818 - another one is started
    """The preloaded process was ended by somebody."""


class _Asked(Exception):  # noqa: N818 - a wish
    """The process that is being started is to end."""


class ForkServerClient:
    """Forks processes from a preloaded one, which it starts with the first of them.

    Calls of `fork` come one at a time.
    """

    def __init__(
        self, preload: Preload, mark: str, guard: ReaperClient, say: Callable[[str], None]
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
        self._said: IO[bytes] | None = None
        self._until = 0.0
        """When the imports must have ended."""
        self._ready = False
        self._lost = 0
        self._off = False

    def fork(
        self, command: Sequence[str], cwd: str, env: Mapping[str, str], *, output: int, woken: int
    ) -> ForkedChild | None:
        """Return a new process that runs a script, or None where it is to be started cold.

        Args:
            command: The preload's Python, the script or ``-m`` and the module, and its words.
            cwd: Where it runs.
            env: Its whole environment, with its mark.
            output: Where its output goes.
            woken: Readable when it is to be stopped; imports are not waited for then.
        """
        shared = self._preload.env
        own = {name: value for name, value in env.items() if shared.get(name) != value}
        job = {"command": list(command), "cwd": cwd, "env": own, "mark": env[reaper.MARK_VARIABLE]}
        message = json.dumps(job).encode()
        if len(message) > server.MAX_MESSAGE_BYTES and not self._off:
            self._give_up("the words and variables of a trial are too long to be handed over")
        while not self._off:
            try:
                return self._forked(message, env[reaper.MARK_VARIABLE], output, woken)
            except _Asked:
                return None
            except _Lost:
                self.close()
                self._lost += 1
                if self._lost == _MOST_LOST:
                    self._give_up(f"the preloaded process was ended {self._lost} times")
            except _Useless as why:
                self._give_up(str(why))
            except OSError as error:
                self._give_up(error.strerror or str(error))
        return None

    def close(self) -> None:
        """Let the preloaded process go, and kill it if it does not."""
        if self._popen is None:
            return
        assert self._socket is not None
        assert self._said is not None
        self._socket.close()
        self._said.close()
        if not self._ready:
            signal_group(self._popen.pid, signal.SIGKILL)
        try:
            self._popen.wait(1)
        except subprocess.TimeoutExpired:
            signal_group(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        self._guard.remove(self._popen.pid)
        self._popen = None
        self._ready = False

    def _give_up(self, why: str) -> None:
        """Start what comes cold. Processes that were forked before go on."""
        self._off = True
        self._say(cold_start_message(why))
        if not self._ready:
            self.close()

    def _forked(self, message: bytes, mark: str, output: int, woken: int) -> ForkedChild:
        if self._popen is None:
            self._start()
        if not self._ready:
            self._prepare(woken)
        told, status = os.pipe()
        try:
            try:
                self._send(message, [output, status])
            finally:
                os.close(status)
            return ForkedChild(_started(told), told)
        except BaseException:
            os.close(told)  # a process that cannot tell that it starts its script does not
            reaper.kill_processes(mark)
            raise

    def _start(self) -> None:
        preload = self._preload
        mark = f"{self._mark}.preloaded."
        with ExitStack() as stack:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            said = stack.enter_context(TemporaryFile())
            with theirs:
                self._popen = subprocess.Popen(
                    [preload.python, server.__file__, str(theirs.fileno())],
                    cwd=preload.cwd,
                    env={
                        **preload.env,
                        reaper.MARK_VARIABLE: mark.ljust(len(self._mark) + _ROOM, "_"),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[theirs.fileno()],
                )
            self._socket, self._said = ours, said
            stack.pop_all()
        self._until = time.monotonic() + PRELOAD_TIMEOUT
        self._guard.add(self._popen.pid)
        told = {
            "imports": preload.imports,
            "required": preload.required,
            "quiet": preload.quiet,
            "folder": preload.folder,
            "source": preload.source,
            "mark": f"{self._mark}.probe.",
            "patience": PROBE_TIMEOUT,
        }
        self._send(json.dumps(told).encode(), [])

    def _prepare(self, woken: int) -> None:
        """Wait until the imports have ended well."""
        assert self._socket is not None
        ready = _ready([self._socket.fileno(), woken], self._until)
        if woken in ready:
            raise _Asked
        if not ready:
            raise _Useless(f"the imports take more than {PRELOAD_TIMEOUT:g} s")
        answer = self._received()
        if not answer:
            raise _Useless(f"it ended while it was importing: {self._last_line()}")
        if why := json.loads(answer):
            raise _Useless(why)
        self._ready = True

    def _received(self) -> bytes:
        assert self._socket is not None
        with suppress(ConnectionError):
            return self._socket.recv(server.MAX_MESSAGE_BYTES)
        return b""

    def _last_line(self) -> str:
        assert self._said is not None
        end = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, end - _MOST_SAID))
        return readable_tail(self._said.read()).rpartition("\n")[2] or "it said nothing"

    def _send(self, message: bytes, ends: list[int]) -> None:
        assert self._socket is not None
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", ends))] if ends else []
        try:
            self._socket.sendmsg([message], rights)
        except ConnectionError:
            if self._ready:
                raise _Lost from None


def cold_start_message(why: str) -> str:
    """Return the one line that says why trials start cold."""
    return f"trials start cold, not from a preloaded process: {why[:_LONGEST_REASON]}"


def _started(told: int) -> int:
    """Wait until a forked process has reached its script; return its number."""
    until = time.monotonic() + START_TIMEOUT
    heard: dict[str, int] = {}
    try:
        while not {"f", "s"} <= heard.keys():  # told by two processes, in any order
            if not _ready([told], until):
                raise _Useless(f"a forked process took more than {START_TIMEOUT:g} s to start")
            letter, number = read_message(told)
            heard[letter] = number
            if letter == "e":
                raise _Useless(f"it cannot be forked: {os.strerror(number)}")
            if letter == "x":
                raise _Useless("a forked process ended before it reached its script")
            if not letter:
                raise _Lost
    except _Useless:
        if "f" in heard:
            with suppress(ProcessLookupError):
                os.kill(heard["f"], signal.SIGKILL)
        raise
    return heard["f"]


def _ready(ends: Sequence[int], until: float) -> set[int]:
    """Return which ends have something to read, as soon as one has; none when time is over."""
    waiting = create_poll(ends)
    return {end for end, _ in waiting.poll(max(0.0, until - time.monotonic()) * 1000)}
