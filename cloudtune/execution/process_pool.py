"""Processes that run trials: each is watched by a thread that sleeps until something happens.

The thread waits at once for output, for the doorbell that a script rings when it has reported, for
the end of the process and for a wish to stop it. Nothing is polled. A thread whose process has
ended watches the next one, as starting one is what costs most here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Literal

from cloudtune.errors import CloudtuneError
from cloudtune.execution import reaper
from cloudtune.execution.child_process import Child, ColdChild, signal_group
from cloudtune.execution.fds import WakeupPipe
from cloudtune.execution.forkserver.client import ForkServerClient, Preload
from cloudtune.execution.metric_reader import Measurement, MetricError
from cloudtune.execution.process_monitor import ProcessMonitor, ProcessSpec
from cloudtune.execution.reaper_client import ReaperClient
from cloudtune.results.events import Ended, Measured


class ProcessPool:
    """Runs processes under numbers, and tells what they report and how they end.

    Each start is followed by exactly one `Ended`: ``completed`` or ``failed`` as the process ended,
    ``cancelled`` where what it was forked from was killed. A completed one has a reason where its
    expressions found text that is no number.
    Whatever a process leaves behind is killed with its end.
    """

    def __init__(
        self,
        emit: Callable[[Measured | Ended], None],
        mark: str,
        *,
        grace: float,
        finish: Callable[[Ended], Ended] = lambda ended: ended,
        emit_last: Callable[[Sequence[Measured | Ended]], None] | None = None,
        ahead: Callable[[], None] = lambda: None,
        preload: Preload | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            emit: Takes events, from any thread.
            mark: Tells the processes of this object from all others on this machine.
            grace: Seconds that processes get to end by themselves should we die.
            finish: Adds to an end what there is to say of it, before it is told.
            emit_last: Takes what a process had still to tell and its end, at one time. A process
                that is started in this call is watched by the thread that makes it. Without it
                `emit` takes each.
            ahead: Prepares what the next process will need; called while the last one starts up.
            preload: What all processes are forked from, as far as that can be.
            say: Is told why they are not, once.
        """
        self._emit = emit
        self._finish = finish
        self._emit_last = emit_last
        self._ahead = ahead
        self._starting = threading.Lock()
        """Held while a process is made: threads that make one at the same time change at every call
        to the system, so that each takes as long as all of them."""
        self._mark = mark
        self._guard = ReaperClient(f"{mark}.", grace)
        self._warm = ForkServerClient(preload, mark, self._guard, say) if preload else None
        self._running: dict[int, _Process] = {}
        self._waiting: SimpleQueue[_Process | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        """Threads that wait for a process, and that none in the queue is meant for."""
        self._own = _Own()
        self._lock = threading.Lock()

    def start(
        self,
        number: int,
        spec: ProcessSpec | Callable[[], ProcessSpec],
        *,
        quick: bool = False,
    ) -> None:
        """Start a process.

        Args:
            number: Whatever names it; free again when it has ended.
            spec: What to run, or what finds that out in the thread that watches the process. An
                error of ours or of this machine from there ends the start as failed.
            quick: Whether to find that out takes but a moment, for which other starts may wait.
        """
        mark = f"{self._mark}.{number}."
        process = _Process(
            number,
            spec,
            self._emit,
            mark=mark,
            guard=self._guard,
            warm=self._warm,
            starting=self._starting,
            quick=quick,
            ahead=self._ahead,
        )
        with self._lock:
            if number in self._running:
                raise ValueError(f"{number} runs already")
            self._running[number] = process
            if self._own.free:
                self._own.free, self._own.next = False, process
                return
            if self._idle:
                self._idle -= 1
            else:
                self._add_thread()
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
        if self._warm:
            self._warm.close()
        self._guard.close()

    def _add_thread(self) -> None:
        name = f"cloudtune processes {len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        """Watch one process after another."""
        wake = WakeupPipe()
        try:
            process = self._waiting.get()
            while process is not None:
                self._live(process, wake)
                process = self._next()
        finally:
            wake.close()

    def _next(self) -> _Process | None:
        """Return what this thread started itself when it told of an end, or what comes."""
        own, self._own.next = self._own.next, None
        if own is not None:
            return own
        with self._lock:
            self._idle += 1
        return self._waiting.get()

    def _live(self, process: _Process, wake: WakeupPipe) -> None:
        ended: Ended | None = None
        try:
            ended = process.live(wake)
        finally:
            with self._lock:
                del self._running[process.number]
            failed = Ended(process.number, time.time(), "failed", "cloudtune failed to watch it")
            self._own.free = ended is not None  # otherwise this thread ends here
            self._tell_last([*process.last_words, self._finish(ended or failed)])
            self._own.free = False

    def _tell_last(self, events: Sequence[Measured | Ended]) -> None:
        """Tell without a pause in which a listener would act on the first event alone."""
        if self._emit_last:
            self._emit_last(events)
            return
        for event in events:
            self._emit(event)


class _Own(threading.local):
    """What a thread that watches processes does next."""

    free = False
    """Whether it tells of an end, and so can watch what is started because of that."""
    next: _Process | None = None


class _Process:
    """One process from its start to its end."""

    def __init__(
        self,
        number: int,
        spec: ProcessSpec | Callable[[], ProcessSpec],
        emit: Callable[[Measured | Ended], None],
        *,
        mark: str,
        guard: ReaperClient,
        warm: ForkServerClient | None,
        starting: threading.Lock,
        quick: bool,
        ahead: Callable[[], None],
    ) -> None:
        self.number = number
        self.last_words: list[Measured | Ended] = []
        """What it had still to tell when it ended: whoever is woken by it finds the end too."""
        self._spec = spec if callable(spec) else lambda: spec
        self._emit = emit
        self._mark = mark
        self._guard = guard
        self._warm = warm
        self._starting = starting
        self._quick = quick
        self._ahead = ahead
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._asked: float | None = None
        """When it was first asked to end."""
        self._killed_why = ""
        self._kill_wanted = False
        self._wake: WakeupPipe | None = None

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
                self._wake.ring()

    def live(self, wake: WakeupPipe) -> Ended:
        """Start it, watch it and return how it ended.

        Args:
            wake: Wakes this thread when the process is to end.
        """
        watch: ProcessMonitor | None = None
        try:
            try:
                woken = wake.open()
                self._listen(wake)
                found = None if self._quick else self._spec()
                with self._starting:
                    spec = found or self._spec()
                    watch = ProcessMonitor(self, spec, woken)
                    child = self._start(spec, watch.output_end, woken)
            except MetricError as error:
                return self._ended("failed", str(error))
            except (OSError, ValueError, CloudtuneError) as error:
                return self._ended("failed", f"cannot be started: {_in_words(error)}")
            if child is None:
                return self._ended("failed", "stopped before it was started")
            try:
                self._ahead()
                watch.until_exit(child)
            finally:
                code = self._end(child)
            self._emit = self.last_words.append
            watch.finish()
            return self._judged(code, watch)
        finally:
            self._listen(None)
            if watch:
                watch.close()

    def emit(self, steps: Iterable[Measurement]) -> None:
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

    def sweep(self) -> None:
        """Kill what it left behind outside of its group."""
        reaper.kill_processes(self._mark)

    def _listen(self, wake: WakeupPipe | None) -> None:
        with self._lock:
            self._wake = wake

    def _start(self, spec: ProcessSpec, output: int, woken: int) -> Child | None:
        self._guard.open()
        env = {**spec.env, reaper.MARK_VARIABLE: self._mark}
        child: Child | None = None
        if self._warm and self._asked is None:
            # Not under our lock: it can take a while, and a stop must be heard meanwhile.
            child = self._warm.fork(spec.command, str(spec.cwd), env, output=output, woken=woken)
        with self._lock:
            if child is None:
                if self._asked is not None:
                    return None
                child = ColdChild(
                    subprocess.Popen(
                        list(spec.command),
                        cwd=spec.cwd,
                        env=env,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
            self._child = child
            if self._asked is not None:
                self._signal(signal.SIGKILL if self._kill_wanted else signal.SIGTERM)
        self._guard.add(child.pid)
        return child

    def _end(self, child: Child) -> int | str:
        """Kill the rest of the group while its number is still ours, then collect the process."""
        with self._lock:
            self._signal(signal.SIGKILL)
            code = child.collect()
            self._child = None
        self._guard.remove(child.pid)
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            signal_group(self._child.pid, number)

    def _judged(self, code: int | str, watch: ProcessMonitor) -> Ended:
        if code == 0 and not watch.fault:
            return self._ended("completed", watch.remark, 0)
        why, tail = watch.fault or self._killed_why, watch.log.tail()
        if isinstance(code, str):
            return self._ended("failed" if why else "cancelled", why or code, None, tail)
        known = code if code >= 0 else None
        return self._ended("failed", why or describe_exit_code(code), known, tail)

    def _ended(
        self,
        state: Literal["completed", "failed", "cancelled"],
        reason: str,
        code: int | None = None,
        tail: str = "",
    ) -> Ended:
        return Ended(self.number, time.time(), state, reason, code, tail)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = os.fsdecode(error.filename) if error.filename else ""
        if isinstance(error, FileNotFoundError) and name:
            return f"there is no {name}"
        return f"{name}: {error.strerror}" if name else error.strerror
    return str(error)


def describe_exit_code(code: int) -> str:
    """Return how a process ended that nobody here ended; the code of a signal is negative."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
