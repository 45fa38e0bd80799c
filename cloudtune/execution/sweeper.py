"""Ends the processes that a trial leaves running although it has closed all that connects them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from cloudtune.execution import reaper

_PAUSE = 1.0
"""The least seconds between two searches."""
_IDLE_SHARE = 50
"""The pause after a search, in durations of it: searches take at most 2 % of a core."""


class Sweeper:
    """Kills, soon after the end of each process, what it left running outside its group.

    A search reads the environment of every process of this machine, so one thread searches for the
    remains of all processes that have ended meanwhile.
    """

    def __init__(self, mark: str, is_running: Callable[[int], bool]) -> None:
        """Create a sweeper, which starts with the first request.

        Args:
            mark: The mark of all processes; that of one process continues with a dot, its number
                and another dot.
            is_running: Returns whether the process with a number is running.
        """
        self._mark = f"{mark}."
        self._is_running = is_running
        self._requested = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def request(self) -> None:
        """Search soon, since a process has ended. May be called from any thread."""
        self._requested.set()
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                thread = threading.Thread(target=self._work, name="sweeper", daemon=True)
                with suppress(RuntimeError):  # no more threads; the reaper searches at the end
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """Stop searching."""
        with self._lock:
            self._closing.set()
            self._requested.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        pause = _PAUSE
        while True:
            self._requested.wait()
            if self._closing.wait(pause):
                return
            self._requested.clear()
            if self._closing.is_set():  # since the wait, and its request is cleared
                return
            begin = time.monotonic()
            self._sweep()
            pause = max(_PAUSE, _IDLE_SHARE * (time.monotonic() - begin))

    def _sweep(self) -> None:
        for pid, mark in reaper.find_marks(self._mark).items():
            number = mark.removeprefix(self._mark).partition(".")[0]
            # A process that has started with this number since the search is not in its result.
            if number.isdigit() and not self._is_running(int(number)):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
