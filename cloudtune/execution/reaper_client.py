"""Our end of the keeper: starts it, lists what runs, and starts another if it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

from cloudtune.execution import reaper


class ReaperClient:
    """Makes sure that the processes of a run end when we do, however we end."""

    def __init__(self, mark: str, grace: float) -> None:
        """Prepare; the keeper starts with the first process.

        Args:
            mark: What each process carries as ``CLOUDTUNE_RUN``.
            grace: Seconds that the keeper gives processes to end by themselves.
        """
        self._mark = mark
        self._grace = grace
        self._groups: set[int] = set()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def open(self) -> None:
        """Start the keeper if there is none."""
        with self._lock:
            if self._keeper is None:
                self._file = _unnamed_file()
                self._list()
            if self._keeper is None or self._keeper.poll() is not None:
                self._start()

    def add(self, group: int) -> None:
        """Note that a process group runs."""
        with self._lock:
            self._groups.add(group)
            self._list()

    def remove(self, group: int) -> None:
        """Note that a process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._list()

    def close(self) -> None:
        """Kill whatever still carries the mark, and let the keeper go."""
        with self._lock:
            if self._keeper is None:
                return
            reaper.kill_processes(self._mark)
            assert self._keeper.stdin is not None
            with suppress(BrokenPipeError):
                self._keeper.stdin.write(b"q")
            self._keeper.stdin.close()
            self._keeper.wait()
            self._keeper = None
            os.close(self._file)

    def _start(self) -> None:
        old = self._keeper
        if old is not None and old.stdin is not None:
            old.stdin.close()
        # Its own session, and no mark of a run around us: whoever ends us must not end it.
        env = {k: v for k, v in os.environ.items() if k != reaper.MARK_VARIABLE}
        isolated = ["-I", "-S"] if Path("/proc/self/environ").exists() else ["-I"]
        words = [self._mark, str(os.getpid()), str(self._grace), str(self._file)]
        # Deaf from its first moment: a mask is inherited.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, reaper.IGNORED_SIGNALS)
        try:
            self._keeper = subprocess.Popen(
                [sys.executable, *isolated, reaper.__file__, *words],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=env,
                cwd="/",
                start_new_session=True,
                pass_fds=(self._file,),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _list(self) -> None:
        listed = " ".join(map(str, self._groups)) + "\n"
        os.pwrite(self._file, listed.encode(), 0)


def _unnamed_file() -> int:
    """Return a file that nobody else finds: in memory where that can be, since it changes often."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("cloudtune")
    with TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())
