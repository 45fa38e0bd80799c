"""Starts the reaper, lists the running process groups for it, and replaces it if it was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from threading import Lock

from cloudtune.execution import reaper


class ReaperClient:
    """Ensures that the processes of a run end when cloudtune does, for whatever reason.

    The ``CLOUDTUNE_RUN`` of each process begins with ``mark``. If cloudtune dies, processes get
    ``grace`` seconds to exit by themselves.
    """

    def __init__(self, mark: str, grace: float) -> None:
        self._mark = mark
        self._grace = grace
        self._groups: set[int] = set()
        self._folder = ""
        self._reaper: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def open(self) -> None:
        """Start the reaper unless it is running."""
        with self._lock:
            if self._reaper is None:
                self._file = _create_unnamed_file()
                self._write_groups()
            if self._reaper is None or self._reaper.poll() is not None:
                self._start()

    def temporary_folder(self) -> Path:
        """Return a folder with a short path, which is deleted when cloudtune ends or dies.

        Unix sockets in it may have 107 bytes. Call it before `open`.
        """
        with self._lock:
            self._folder = self._folder or mkdtemp(prefix="ct-")
        return Path(self._folder)

    def add(self, group: int) -> None:
        """Record that a process group is running."""
        with self._lock:
            self._groups.add(group)
            self._write_groups()

    def remove(self, group: int) -> None:
        """Record that a process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._write_groups()

    def close(self) -> None:
        """Kill all remaining processes with the mark and stop the reaper."""
        with self._lock:
            if self._reaper is None:
                return
            reaper.kill_processes(self._mark)
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
            assert self._reaper.stdin is not None
            with suppress(BrokenPipeError):
                self._reaper.stdin.write(b"q")
            self._reaper.stdin.close()
            self._reaper.wait()
            self._reaper = None
            os.close(self._file)

    def _start(self) -> None:
        old = self._reaper
        if old is not None and old.stdin is not None:
            old.stdin.close()
        # Its own session, without the mark of an enclosing run: what ends cloudtune must not end
        # the reaper.
        env = {k: v for k, v in os.environ.items() if k != reaper.MARK_VARIABLE}
        isolated = ["-I", "-S"] if Path("/proc/self/environ").exists() else ["-I"]
        args = [self._mark, str(os.getpid()), str(self._grace), str(self._file), self._folder]
        # The child inherits the mask and so ignores these signals from its first moment.
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, reaper.IGNORED_SIGNALS)
        try:
            self._reaper = subprocess.Popen(
                [sys.executable, *isolated, reaper.__file__, *args],
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
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)

    def _write_groups(self) -> None:
        text = " ".join(map(str, self._groups)) + "\n"
        os.pwrite(self._file, text.encode(), 0)


def _create_unnamed_file() -> int:
    """Return a file without a name; in memory if possible, since it changes often."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("cloudtune")
    with TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())
