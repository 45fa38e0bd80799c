"""Processes that run trials: each is watched by a thread that sleeps until something happens.

The thread waits at once for output, for the doorbell that a script rings when it has reported, for
the end of the process and for a wish to stop it. Nothing is polled. A thread whose process has
ended watches the next one, as starting one is what costs most here.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from cloudtune.errors import CloudtuneError
from cloudtune.events import Ended, Measured
from cloudtune.execution import keeper
from cloudtune.execution.guard import Guard
from cloudtune.execution.log import Log
from cloudtune.execution.metrics import BadMetrics, Expressions, Reports, Step, Steps

_BLOCK = 64 * 1024
"""Bytes that a pipe holds, and that are read at one time."""
_FEW = 4 * 1024
"""Bytes that are not worth being woken for: after so few, more may gather."""
_GATHER = 0.01
"""Seconds that output may gather. One print can be several writes, each of which would wake us."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process, and how it is watched."""

    command: Sequence[str]
    cwd: str | Path
    env: Mapping[str, str]
    """The whole environment; the run's mark is added."""
    log: str | Path
    """Where its output goes; an earlier log is continued."""
    reports: str | Path | None = None
    """Where the script puts what it reports."""
    doorbell: str | Path | None = None
    """A FIFO, made if need be, that the script rings after each report."""
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Expressions that find metrics in the output."""
    grace: float = 10.0
    """Seconds between asking it to end and killing it."""
    steps: Steps = field(default_factory=Steps)
    """Counts what the expressions find; hand over the same one where counting goes on."""


class Processes:
    """Runs processes under numbers, and tells what they report and how they end.

    Each start is followed by exactly one `Ended`, ``completed`` or ``failed`` as the process ended.
    Whatever a process leaves behind is killed with its end.
    """

    def __init__(
        self, emit: Callable[[Measured | Ended], None], mark: str, *, grace: float
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            emit: Takes events, from any thread.
            mark: Tells the processes of this object from all others on this machine.
            grace: Seconds that processes get to end by themselves should we die.
        """
        self._emit = emit
        self._mark = mark
        self._guard = Guard(f"{mark}.", grace)
        self._running: dict[int, _Process] = {}
        self._waiting: SimpleQueue[_Process | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        """Threads that have nothing to watch, and that no process in the queue is meant for."""
        self._lock = threading.Lock()

    def start(self, number: int, spec: ProcessSpec | Callable[[], ProcessSpec]) -> None:
        """Start a process.

        Args:
            number: Whatever names it; free again when it has ended.
            spec: What to run, or what finds that out in the thread that watches the process. An
                error of ours or of this machine from there ends the start as failed.
        """
        process = _Process(number, spec, self._emit, f"{self._mark}.{number}.", self._guard)
        with self._lock:
            if number in self._running:
                raise ValueError(f"{number} runs already")
            if self._idle:
                self._idle -= 1
            else:
                self._add_thread()
            self._running[number] = process
        self._waiting.put(process)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a process to end, and kill it after its grace; or kill it ``now``."""
        with self._lock:
            process = self._running.get(number)
        if process is not None:
            process.stop(now=now)

    def close(self) -> None:
        """Kill everything that still runs, wait until it has ended, and let the keeper go."""
        with self._lock:
            left = list(self._running.values())
        for process in left:
            process.stop(now=True)
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(10)
        self._threads.clear()
        self._idle = 0
        self._guard.close()

    def _add_thread(self) -> None:
        name = f"cloudtune processes {len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        """Watch one process after another."""
        while (process := self._waiting.get()) is not None:
            self._live(process)

    def _live(self, process: _Process) -> None:
        ended: Ended | None = None
        try:
            ended = process.live()
        finally:
            with self._lock:
                del self._running[process.number]
                self._idle += ended is not None  # otherwise this thread ends here
            failed = Ended(process.number, time.time(), "failed", "cloudtune failed to watch it")
            for event in (*process.last_words, ended or failed):
                self._emit(event)


class _Process:
    """One process from its start to its end."""

    def __init__(
        self,
        number: int,
        spec: ProcessSpec | Callable[[], ProcessSpec],
        emit: Callable[[Measured | Ended], None],
        mark: str,
        guard: Guard,
    ) -> None:
        self.number = number
        self.last_words: list[Measured | Ended] = []
        """What it had still to tell when it ended: whoever is woken by it finds the end too."""
        self._spec = spec
        self._emit = emit
        self._mark = mark
        self._guard = guard
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._asked: float | None = None
        """When it was first asked to end."""
        self._killed_why = ""
        self._kill_wanted = False
        self._wake: int | None = None

    def stop(self, *, now: bool) -> None:
        """Ask it to end, or kill it; from any thread."""
        with self._lock:
            first = self._asked is None
            self._asked = time.monotonic() if self._asked is None else self._asked
            self._kill_wanted = self._kill_wanted or now
            if now:
                self._signal(signal.SIGKILL)
            elif first:
                self._signal(signal.SIGTERM)
            if self._wake is not None:
                with suppress(BlockingIOError):
                    os.write(self._wake, b"\0")

    def live(self) -> Ended:
        """Start it, watch it and return how it ended."""
        with ExitStack() as stack:
            try:
                spec = self._spec if isinstance(self._spec, ProcessSpec) else self._spec()
                log = Log(spec.log)
                stack.callback(log.close)
                watch = _Watch(self, spec, log, stack)
                popen = self._start(spec, watch)
            except BadMetrics as error:
                return self._ended("failed", str(error))
            except (OSError, ValueError, CloudtuneError) as error:
                return self._ended("failed", f"cannot be started: {_in_words(error)}")
            if popen is None:
                return self._ended("failed", "stopped before it was started")
            try:
                watch.until_exit(popen)
            finally:
                self._end(popen)
            self._emit = self.last_words.append
            watch.finish()
            return self._judged(popen.returncode, watch.fault, log)

    def emit(self, steps: Iterable[Step]) -> None:
        """Tell of measurements."""
        for when, at, values in steps:
            self._emit(Measured(self.number, when, at, values))

    def seconds_left(self, grace: float) -> float | None:
        """Return how long it may still run, or None if nobody wants it to end."""
        with self._lock:
            if self._asked is None or self._kill_wanted:
                return None
            return max(0.0, self._asked + grace - time.monotonic())

    def kill(self, why: str) -> None:
        """Kill it and all of its group, for a reason that is told if it had not ended before."""
        with self._lock:
            self._kill_wanted = True
            self._killed_why = self._killed_why or why
            self._signal(signal.SIGKILL)

    def listen(self, wake: int | None) -> None:
        """Say where the watching thread hears of stops, or that it no longer does."""
        with self._lock:
            self._wake = wake

    def sweep(self) -> None:
        """Kill what it left behind outside of its group."""
        keeper.sweep(self._mark)

    def _start(self, spec: ProcessSpec, watch: _Watch) -> subprocess.Popen[bytes] | None:
        self._guard.open()
        with self._lock:
            if self._asked is not None:
                return None
            popen = subprocess.Popen(
                list(spec.command),
                cwd=spec.cwd,
                env={**spec.env, keeper.MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=watch.output_end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._popen = popen
        self._guard.add(popen.pid)
        return popen

    def _end(self, popen: subprocess.Popen[bytes]) -> None:
        """Kill the rest of the group while its number is still ours, then collect the process."""
        with self._lock:
            self._signal(signal.SIGKILL)
            popen.wait()
            self._popen = None
        self._guard.remove(popen.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None:
            # All of it may have ended; macOS says so by refusing.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _judged(self, code: int, fault: str, log: Log) -> Ended:
        if code == 0 and not fault:
            return self._ended("completed", "", 0)
        reason = fault or self._killed_why or _code_in_words(code)
        return self._ended("failed", reason, code if code >= 0 else None, log.tail())

    def _ended(
        self,
        state: Literal["completed", "failed"],
        reason: str,
        code: int | None = None,
        tail: str = "",
    ) -> Ended:
        return Ended(self.number, time.time(), state, reason, code, tail)


class _Watch:
    """What one process says, and by which channels it says it."""

    def __init__(self, process: _Process, spec: ProcessSpec, log: Log, stack: ExitStack) -> None:
        self.fault = ""
        """Why what it says makes it fail."""
        self._process = process
        self._spec = spec
        self._log = log
        self._stack = stack
        self._expressions = Expressions(spec.metrics, spec.steps)
        self._reports = Reports(spec.reports) if spec.reports else None
        if self._reports:
            stack.callback(self._reports.close)
        self._bell = _bell(spec.doorbell, stack) if spec.doorbell else None
        self._output, self.output_end = _pipe(stack)
        self._output_open = True
        self._woken, wake = _pipe(stack)
        process.listen(wake.fileno())
        stack.callback(process.listen, None)

    def until_exit(self, popen: subprocess.Popen[bytes]) -> None:
        """Take in what the process says until it has ended; it is not collected yet."""
        self.output_end.close()
        exited = _exit_of(popen)
        self._stack.callback(os.close, exited)
        ends = [end for end in (exited, self._woken, self._bell) if end is not None]
        without_output, everything = _poll(ends), _poll([*ends, self._output])
        grace = self._spec.grace
        gathering = True
        while True:
            left = self._process.seconds_left(grace)
            if left == 0:
                self._process.kill(f"did not end within {grace:g} s of being asked to")
                left = None
            if gathering:
                left = _GATHER if left is None else min(left, _GATHER)
            poll = everything if self._output_open and not gathering else without_output
            ready = {end for end, _ in poll.poll(None if left is None else left * 1000)}
            gathering = self._output in ready and 0 < self._take_output() <= _FEW
            if self._bell in ready:
                _drain(self._bell)
                self._take_reports()
            if self._woken in ready:
                _drain(self._woken)
            if exited in ready:
                return

    def finish(self) -> None:
        """Take in what is left, without waiting for others who hold the pipe."""
        for _ in range(2):  # what the pipe held, then its end
            if self._output_open:
                self._take_output()
        if self._output_open:
            self._process.sweep()
        self._say(self._expressions.finish())
        self._take_reports()

    def _take_output(self) -> int:
        """Take in what there is to read; return how many bytes that was."""
        try:
            data = os.read(self._output, _BLOCK)
        except BlockingIOError:
            return 0
        if data:
            self._log.write(data)
            self._say(self._expressions.feed(data))
        else:
            self._output_open = False
        return len(data)

    def _take_reports(self) -> None:
        if self._reports:
            self._say(self._reports.read())

    def _say(self, steps: Iterable[Step]) -> None:
        """Tell of measurements; where something is wrong with them, kill the process."""
        if self.fault:
            return
        try:
            self._process.emit(steps)
        except BadMetrics as error:
            self.fault = str(error)
            self._process.kill(self.fault)


def _pipe(stack: ExitStack) -> tuple[int, FileIO]:
    read, write = os.pipe()
    stack.callback(os.close, read)
    os.set_blocking(read, False)
    return read, stack.enter_context(FileIO(write, "w"))


def _bell(path: str | Path, stack: ExitStack) -> int:
    """Open a FIFO, which is made if need be."""
    try:
        is_bell = stat.S_ISFIFO(os.lstat(path).st_mode)
        if not is_bell:
            os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        is_bell = False
    if not is_bell:
        os.mkfifo(path, 0o600)
    bell = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    stack.callback(os.close, bell)
    return bell


def _poll(ends: Iterable[int]) -> select.poll:
    poll = select.poll()
    for end in ends:
        poll.register(end, select.POLLIN)
    return poll


def _exit_of(popen: subprocess.Popen[bytes]) -> int:
    """Return a file descriptor that becomes readable when a process ends."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(popen.pid)
    read, write = os.pipe()

    def wait() -> None:
        popen.wait()
        os.close(write)

    threading.Thread(target=wait, daemon=True).start()
    return read


def _drain(end: int) -> None:
    try:
        while os.read(end, _BLOCK):
            pass
    except BlockingIOError:
        return


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = os.fsdecode(error.filename) if error.filename else ""
        if isinstance(error, FileNotFoundError) and name:
            return f"there is no {name}"
        return f"{name}: {error.strerror}" if name else error.strerror
    return str(error)


def _code_in_words(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
