"""A pool of threads, each of which runs one process at a time.

A thread blocks until its process prints something, rings its doorbell, exits or is asked to stop;
nothing is polled. When a process ends, its thread runs the next one, because creating a thread is
the most expensive part of a start.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from cloudtune.common.host_errors import describe_full_disk, describe_host_error
from cloudtune.errors import CloudtuneError
from cloudtune.execution import reaper
from cloudtune.execution.child_process import Child, ColdChild, handles_sigterm, signal_group
from cloudtune.execution.exit_reasons import describe_error, describe_exit_code, host_failure
from cloudtune.execution.fds import WakeupPipe, is_readable
from cloudtune.execution.forkserver.client import ForkServerClient, Preload
from cloudtune.execution.metric_reader import Measurement, MetricError
from cloudtune.execution.process_monitor import ProcessMonitor, ProcessSpec
from cloudtune.execution.reaper_client import ReaperClient
from cloudtune.execution.sweeper import Sweeper
from cloudtune.results.events import Ended, HostFailure, Measured, Stopped
from cloudtune.results.failure import error_line

SignalTarget = Literal["process", "all", "left"]


class ProcessPool:
    """Runs processes, identified by numbers, and emits their measurements and their ends.

    Each start leads to exactly one `Ended`. Its state is ``completed`` or ``failed`` by the exit
    of the process, or ``cancelled`` if the fork server that forked it was killed. A completed
    process has a reason if its metric patterns matched only text that is not a number. The end is
    a `HostFailure` if this machine cannot start or monitor the process. When a process ends, all
    processes that it started are killed.
    """

    def __init__(
        self,
        emit: Callable[[Measured | Ended], None],
        mark: str,
        *,
        grace: float,
        finish: Callable[[Ended], Ended] = lambda ended: ended,
        emit_last: Callable[[Sequence[Measured | Ended]], None] | None = None,
        prepare_next: Callable[[], None] = lambda: None,
        preload: Preload | None = None,
        notify: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Create an empty pool.

        Args:
            emit: Receives events, from any thread.
            mark: Distinguishes the pool's processes from all others on this machine.
            grace: Seconds that processes get to exit by themselves if cloudtune dies.
            finish: Adds details to an end before it is emitted.
            emit_last: Receives the last measurements of a process together with its end, in place
                of `emit`. A process started inside this call runs on the calling thread.
            prepare_next: Creates what the next process needs; called while a process starts up.
            preload: The modules to import in the fork server. None starts all processes cold.
            notify: Called once with the reason if processes start cold despite ``preload``.
        """
        self.emit = emit
        self._finish = finish
        self._emit_last = emit_last or self._emit_one_by_one
        self.prepare_next = prepare_next
        self.start_lock = threading.Lock()
        """Held while a process is created: concurrent creations would alternate at every system
        call, so that each takes as long as all of them."""
        self.mark = mark
        self.reaper = ReaperClient(f"{mark}.", grace)
        self.fork_server = ForkServerClient(preload, mark, self.reaper, notify) if preload else None
        self._running: dict[int, _Process] = {}
        self._queue: SimpleQueue[_Process | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        """Threads that wait for a process, less the processes in the queue."""
        self._current = _CurrentThread()
        self._lock = threading.Lock()
        self._sweeper = Sweeper(mark, lambda number: number in self._running)

    def start(
        self,
        number: int,
        spec: ProcessSpec | Callable[[], ProcessSpec],
        *,
        quick: bool = False,
    ) -> None:
        """Start a process.

        Args:
            number: Identifies the process; can be reused after its end.
            spec: What to run, or a function that returns it, called in the process's thread. A
                `CloudtuneError` or `ValueError` from it ends the start as failed, and an `OSError`
                as a `HostFailure`.
            quick: Whether the function returns within a moment, so that other starts may wait.
        """
        process = _Process(self, number, spec, quick=quick)
        failure: HostFailure | None = None
        with self._lock:
            if number in self._running:
                raise ValueError(f"{number} is already running")
            self._running[number] = process
            if self._current.is_free:
                self._current.is_free, self._current.next = False, process
                return
            if self._idle:
                self._idle -= 1
            else:
                name = f"cloudtune processes {len(self._threads) + 1}"
                thread = threading.Thread(target=self._run_processes, name=name, daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    del self._running[number]
                    failure = host_failure(number, "cannot be started", error)
                else:
                    self._threads.append(thread)
        if failure:
            self.emit(self._finish(failure))
        else:
            self._queue.put(process)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a process to exit and kill it after its grace period, or kill it ``now``."""
        with self._lock:
            process = self._running.get(number)
        if process is not None:
            process.stop(now=now)

    def signal(self, number: int, signal_number: int, *, to: SignalTarget = "process") -> None:
        """Send a signal to the ``process``, to ``all`` of its own, or to those that ``left`` it.

        The last are those that it started and that are in another group.
        """
        with self._lock:
            process = self._running.get(number)
        if process is not None:
            process.send(signal_number, to)

    def close(self) -> None:
        """Kill all running processes, wait for their ends and stop the reaper."""
        with self._lock:
            running = list(self._running.values())
        for process in running:
            process.stop(now=True)
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(10)
        self._threads.clear()
        self._idle = 0
        self._sweeper.close()
        if self.fork_server:
            self.fork_server.close()
        self.reaper.close()

    def _run_processes(self) -> None:
        wakeup = WakeupPipe()
        try:
            process = self._queue.get()
            while process is not None:
                self._run(process, wakeup)
                process = self._next_process()
        finally:
            wakeup.close()

    def _next_process(self) -> _Process | None:
        """Return the process that this thread started while emitting an end, else a queued one."""
        process, self._current.next = self._current.next, None
        if process is not None:
            return process
        with self._lock:
            self._idle += 1
        return self._queue.get()

    def _run(self, process: _Process, wakeup: WakeupPipe) -> None:
        bug: Exception | None = None
        try:
            ended = process.run(wakeup)
        except Exception as error:  # noqa: BLE001 - raised below, when the end is reported
            bug = None if describe_host_error(error) else error
            ended = host_failure(process.number, "cannot be monitored", error)
        with self._lock:
            del self._running[process.number]
        self._sweeper.request()
        self._current.is_free = bug is None  # else this thread ends
        self._emit_last([*process.last_events, self._finish(ended)])
        self._current.is_free = False
        if bug:
            raise bug

    def _emit_one_by_one(self, events: Sequence[Measured | Ended]) -> None:
        for event in events:
            self.emit(event)


class _CurrentThread(threading.local):
    is_free = False
    """Whether the thread is emitting an end and can run a process that is started meanwhile."""
    next: _Process | None = None


class _Process:
    def __init__(
        self,
        pool: ProcessPool,
        number: int,
        spec: ProcessSpec | Callable[[], ProcessSpec],
        *,
        quick: bool,
    ) -> None:
        self.number = number
        self.last_events: list[Measured | Ended] = []
        """Measurements read after the exit, emitted with the end: nobody acts on them alone."""
        self._spec = spec if callable(spec) else lambda: spec
        self._pool = pool
        self._emit = pool.emit
        self._mark = f"{pool.mark}.{number}."
        self._quick = quick
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._stop_time: float | None = None
        """When the process was first asked to exit."""
        self._kill_reason = ""
        self._must_kill = self._measured = self._is_collected = self._may_handle_stop = False
        self._wakeup: WakeupPipe | None = None

    def stop(self, *, now: bool) -> None:
        """Ask the process to exit, or kill it, unless it has ended; called from any thread."""
        with self._lock:
            if self._is_collected or (self._child and is_readable(self._child.exit_fd)):
                return
            if first := self._stop_time is None:
                self._stop_time = time.monotonic()
            self._must_kill |= now
            if now:
                self._signal(signal.SIGKILL)
            elif first:
                self._may_handle_stop = not self._child or handles_sigterm(self._child.pid)
                self._signal(signal.SIGTERM)
            if self._wakeup is not None:
                self._wakeup.ring()

    def send(self, number: int, to: SignalTarget) -> None:
        """Send a signal, if the process has been started; called from any thread."""
        with self._lock:
            if self._child is None:
                return
            leader = self._child.pid
            pids = [leader] if to == "process" else reaper.find_processes(self._mark)
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    if to != "left" or os.getpgid(pid) != leader:
                        os.kill(pid, number)

    def run(self, wakeup: WakeupPipe) -> Ended:
        """Start the process, monitor it and return its end; `wakeup` rings when it is to stop."""
        monitor: ProcessMonitor | None = None
        try:
            try:
                wakeup_fd = wakeup.open()
                self._set_wakeup(wakeup)
                slow_spec = None if self._quick else self._spec()
                with self._pool.start_lock:
                    spec = slow_spec or self._spec()
                    monitor = ProcessMonitor(self, spec, wakeup_fd)
                    child = self._start(spec, monitor.output_ends, wakeup_fd)
            except MetricError as error:
                return self._ended("failed", str(error))
            except (OSError, ValueError, CloudtuneError, MemoryError, RuntimeError) as error:
                return self._start_failure(error)
            if child is None:
                return self._ended("failed", "stopped before it was started")
            try:
                self._pool.prepare_next()
                monitor.run_until_exit(child)
            finally:
                code = self._collect(child)
            self._emit = self.last_events.append
            monitor.finish(code, stopped=self._stop_time is not None)
            if child.start_error:
                return self._start_failure(child.start_error)
            return self._result(code, monitor, Path(spec.log).parent)
        finally:
            self._set_wakeup(None)
            if monitor:
                monitor.close()

    def _start_failure(self, error: Exception) -> Ended:
        """Return the end of a process that does not start.

        What depends on the process, such as too long arguments, is its own failure. All else
        happens to every process of this machine.
        """
        own = isinstance(error, ValueError | CloudtuneError)
        if own or (isinstance(error, OSError) and error.errno == errno.E2BIG):
            return self._ended("failed", f"cannot be started: {describe_error(error)}")
        return host_failure(self.number, "cannot be started", error)

    def emit(self, measurements: Iterable[Measurement]) -> None:
        for when, step, values in measurements:
            self._measured = True
            self._emit(Measured(self.number, when, step, values))

    def seconds_left(self, grace: float) -> float | None:
        with self._lock:
            if self._stop_time is None or self._must_kill:
                return None
            return max(0.0, self._stop_time + grace - time.monotonic())

    def kill(self, reason: str) -> None:
        """Kill the process group; the first reason is reported unless it has already ended."""
        with self._lock:
            self._must_kill = True
            self._kill_reason = self._kill_reason or reason
            self._signal(signal.SIGKILL)

    def kill_descendants(self) -> None:
        reaper.kill_processes(self._mark)

    def _set_wakeup(self, wakeup: WakeupPipe | None) -> None:
        with self._lock:
            self._wakeup = wakeup

    def _start(self, spec: ProcessSpec, outputs: tuple[int, int], wakeup: int) -> Child | None:
        self._pool.reaper.open()
        env = {**spec.env, reaper.MARK_VARIABLE: self._mark}
        child: Child | None = None
        if self._pool.fork_server and self._stop_time is None:
            # Without the lock: a fork can take a while, and a stop must get through meanwhile.
            child = self._pool.fork_server.fork(
                spec.command,
                str(spec.cwd),
                env,
                outputs=outputs,
                wakeup_fd=wakeup,
                lower=spec.lower,
            )
        with self._lock:
            if child is None:
                if self._stop_time is not None:
                    return None
                child = ColdChild(spec.command, str(spec.cwd), env, outputs, spec.lower)
            self._child = child
            if self._stop_time is not None:
                self._signal(signal.SIGKILL if self._must_kill else signal.SIGTERM)
        self._pool.reaper.add(child.pid)
        return child

    def _collect(self, child: Child) -> int | str:
        """Kill the rest of the group while its number cannot be reused, then collect the child."""
        with self._lock:
            self._signal(signal.SIGKILL)
            code = child.collect()
            self._child, self._is_collected = None, True
        self._pool.reaper.remove(child.pid)
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            signal_group(self._child.pid, number)

    def _result(self, code: int | str, monitor: ProcessMonitor, folder: Path) -> Ended:
        if code == 0 and not monitor.error:
            lacks_metrics = monitor.lacks_printed_metrics
            tail = monitor.log.tail() if lacks_metrics or not self._measured else ""
            is_silent = lacks_metrics and not (tail or self._measured)
            nothing = "it printed nothing" if is_silent else ""
            return self._ended("completed", monitor.warning or nothing, 0, tail)
        reason, tail = monitor.error or self._kill_reason, monitor.log.tail()
        if isinstance(code, str):
            return self._ended("failed" if reason else "cancelled", reason or code, None, tail)
        exit_code = code if code >= 0 else None
        ended = self._ended("failed", reason or describe_exit_code(code), exit_code, tail)
        if not self._kill_reason and (full := describe_full_disk(folder, error_line(tail))):
            return HostFailure(**vars(replace(ended, reason=f"{ended.reason}: {full}")))
        return ended

    def _ended(
        self,
        state: Literal["completed", "failed", "cancelled"],
        reason: str,
        code: int | None = None,
        tail: str = "",
    ) -> Ended:
        was_stopped = self._stop_time is not None and (code != 0 or self._may_handle_stop)
        event = Stopped if was_stopped else Ended
        return event(self.number, time.time(), state, reason, code, tail)
