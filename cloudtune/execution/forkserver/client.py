"""Starts the fork server, requests forks from it, and falls back to cold starts."""

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
"""Seconds that a first fork, which runs no script, may take."""
START_TIMEOUT = 10.0
"""Seconds in which a forked process must reach its script."""
_EXIT_TIMEOUT = 10.0
"""Seconds in which the fork server must exit, which ends what its imports have registered."""
_MAX_LOSSES = 2
"""Fork servers that may be killed before processes start cold."""
_MARK_ROOM = 24
"""Characters by which the mark of one process can be longer than that of the pool."""
_MAX_OUTPUT_SHOWN = 16 * 1024
_MAX_REASON = 300


@dataclass(frozen=True)
class Preload:
    """What the fork server imports, for scripts that all run with the same Python."""

    python: str
    env: Mapping[str, str]
    """The environment variables that all scripts have in common."""
    cwd: str
    """A folder that resembles those in which the scripts run."""
    folder: str
    """The folder within ``cwd`` that is searched first for modules."""
    imports: Sequence[Import]
    required: bool
    """Whether a missing module is an error."""
    quiet: bool
    """Whether to hide what the imports print."""
    source: Sequence[str]
    """Folders whose modules belong to the scripts and are never preloaded."""


class _ColdStartError(Exception):
    """The fork server cannot be used; the message says why."""


class _ServerLostError(Exception):
    """The fork server was killed; start another one."""


class _StopRequestedError(Exception):
    """The process that is being started is to stop."""


class ForkServerClient:
    """Requests forks from a fork server, which the first request starts.

    Only one thread at a time may call `fork`.
    """

    def __init__(
        self,
        preload: Preload,
        mark: str,
        reaper_client: ReaperClient,
        notify: Callable[[str], None],
    ) -> None:
        """Set what to import and what the marks of all processes begin with.

        `notify` is called once with the reason if processes start cold.
        """
        self._preload = preload
        self._mark = mark
        self._reaper = reaper_client
        self._notify = notify
        self._popen: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._output: IO[bytes] | None = None
        self._preload_deadline = 0.0
        self._ready = False
        self._losses = 0
        self._disabled = False

    def fork(
        self,
        command: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        *,
        outputs: tuple[int, int],
        wakeup_fd: int,
        lower: str | None = None,
    ) -> ForkedChild | None:
        """Return a new process that runs a script, or None if it is to start cold.

        Args:
            command: The Python of the preload, the script or ``-m`` and the module, and arguments.
            cwd: The working folder.
            env: The whole environment, including the mark.
            outputs: The file descriptors for its standard output and error.
            wakeup_fd: Becomes readable when the process is to stop; ends the wait for imports.
            lower: A folder that the working folder shows, with copy on write.
        """
        mark = env[reaper.MARK_VARIABLE]
        shared = self._preload.env
        own_env = {name: value for name, value in env.items() if shared.get(name) != value}
        job = {"command": list(command), "cwd": cwd, "env": own_env, "mark": mark, "lower": lower}
        message = json.dumps(job).encode()
        if len(message) > server.MAX_MESSAGE_BYTES and not self._disabled:
            self._disable("the arguments and variables of a trial are too long")
        while not self._disabled:
            try:
                return self._fork(message, mark, outputs, wakeup_fd)
            except _StopRequestedError:
                return None
            except _ServerLostError:
                self.close()
                self._losses += 1
                if self._losses == _MAX_LOSSES:
                    self._disable(f"the fork server was killed {self._losses} times")
            except (_ColdStartError, OSError) as error:
                self._disable(getattr(error, "strerror", None) or str(error))
        return None

    def close(self) -> None:
        """Tell the server to exit, and kill it if it does not."""
        if self._popen is None:
            return
        assert self._socket is not None
        assert self._output is not None
        self._socket.close()
        self._output.close()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        if not self._ready:
            signal_group(self._popen.pid, signal.SIGKILL)
        try:
            self._popen.wait(_EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            signal_group(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        self._reaper.remove(self._popen.pid)
        self._popen = None
        self._ready = False

    def _disable(self, reason: str) -> None:
        """Start all later processes cold. Forked processes continue to run."""
        self._disabled = True
        self._notify(cold_start_message(reason))
        if not self._ready:
            self.close()

    def _fork(
        self, message: bytes, mark: str, outputs: tuple[int, int], wakeup_fd: int
    ) -> ForkedChild:
        if self._popen is None:
            self._start_server()
        if not self._ready:
            self._wait_for_imports(wakeup_fd)
        status_fd, status_write_end = os.pipe()
        try:
            try:
                self._send(message, [*outputs, status_write_end, *self._repeated_output()])
            finally:
                os.close(status_write_end)
            return ForkedChild(_wait_for_script(status_fd), status_fd)
        except BaseException:
            os.close(status_fd)  # a process that cannot report its start exits before the script
            reaper.kill_processes(mark)
            raise

    def _repeated_output(self) -> list[int]:
        """Return the file of what the imports have printed, which each trial prints again."""
        assert self._output is not None
        is_printed = not self._preload.quiet and self._output.tell() > 0
        return [self._output.fileno()] if is_printed else []

    def _start_server(self) -> None:
        preload = self._preload
        mark = f"{self._mark}.preloaded.".ljust(len(self._mark) + _MARK_ROOM, "_")
        with ExitStack() as stack:
            client_end, server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(client_end)
            output = stack.enter_context(TemporaryFile(buffering=0))
            with server_end:
                self._popen = subprocess.Popen(
                    [preload.python, server.__file__, str(server_end.fileno())],
                    cwd=preload.cwd,
                    env={**preload.env, reaper.MARK_VARIABLE: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,  # as in a cold start: Python's streams remember it
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    start_new_session=True,
                    pass_fds=[server_end.fileno()],
                )
            self._socket, self._output = client_end, output
            stack.pop_all()
        self._preload_deadline = time.monotonic() + PRELOAD_TIMEOUT
        self._reaper.add(self._popen.pid)
        request = {
            "imports": preload.imports,
            "required": preload.required,
            "folder": preload.folder,
            "source": preload.source,
            "mark": f"{self._mark}.probe.",
            "timeout": PROBE_TIMEOUT,
        }
        self._send(json.dumps(request).encode(), [])

    def _wait_for_imports(self, wakeup_fd: int) -> None:
        assert self._socket is not None
        while True:
            fds = [self._socket.fileno(), wakeup_fd, *self._open_output()]
            ready = _wait_readable(fds, self._preload_deadline)
            if wakeup_fd in ready:
                raise _StopRequestedError
            if not ready:
                raise _ColdStartError(f"the imports take more than {PRELOAD_TIMEOUT:g} s")
            self._copy_output()
            if self._socket.fileno() in ready:
                break
        answer = b""
        with suppress(ConnectionError):
            answer = self._socket.recv(server.MAX_MESSAGE_BYTES)
        self._copy_output()
        if not answer:
            raise _ColdStartError(f"the fork server exited during imports: {self._last_line()}")
        if problem := json.loads(answer):
            raise _ColdStartError(problem)
        self._ready = True

    def _open_output(self) -> list[int]:
        """Return the pipe of the server's output, if it is still open."""
        assert self._popen is not None
        assert self._popen.stdout is not None
        return [] if self._popen.stdout.closed else [self._popen.stdout.fileno()]

    def _copy_output(self) -> None:
        """Copy what the imports have printed so far from the pipe to the file."""
        assert self._popen is not None
        assert self._popen.stdout is not None
        assert self._output is not None
        while pipe := self._open_output():
            if not create_poll(pipe).poll(0):
                return
            if data := os.read(pipe[0], 65_536):
                self._output.write(data)
            else:
                self._popen.stdout.close()

    def _last_line(self) -> str:
        assert self._output is not None
        end = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, end - _MAX_OUTPUT_SHOWN))
        return readable_tail(self._output.read()).rpartition("\n")[2] or "no output"

    def _send(self, message: bytes, fds: list[int]) -> None:
        assert self._socket is not None
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._socket.sendmsg([message], rights)
        except ConnectionError:
            if self._ready:
                raise _ServerLostError from None


def cold_start_message(reason: str) -> str:
    """Return the message that says why trials start cold."""
    return f"trials start cold, without preloaded modules: {reason[:_MAX_REASON]}"


def _wait_for_script(status_fd: int) -> int:
    """Wait until a forked process reaches its script; return its process id."""
    deadline = time.monotonic() + START_TIMEOUT
    messages: dict[str, int] = {}
    try:
        while not {"f", "s"} <= messages.keys():  # sent by two processes, in any order
            if not _wait_readable([status_fd], deadline):
                raise _ColdStartError(
                    f"a forked process took more than {START_TIMEOUT:g} s to start"
                )
            letter, number = read_message(status_fd)
            messages[letter] = number
            if letter == "e":
                raise _ColdStartError(f"the fork failed: {os.strerror(number)}")
            if letter == "x":
                raise _ColdStartError("a forked process exited before it reached its script")
            if not letter:
                raise _ServerLostError
    except _ColdStartError:
        if "f" in messages:
            with suppress(ProcessLookupError):
                os.kill(messages["f"], signal.SIGKILL)
        raise
    return messages["f"]


def _wait_readable(fds: Sequence[int], deadline: float) -> set[int]:
    """Wait until a file descriptor is readable; return those that are, none after the deadline."""
    poll = create_poll(fds)
    return {fd for fd, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)}
