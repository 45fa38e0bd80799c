"""The lock that makes one process the only one to run a run, and requests to stop it.

The operating system releases the lock when the process dies. Stop requests arrive through a FIFO.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

from cloudtune.errors import LedgerError

_LOCK_FILE = "holder"
_STOP_FIFO = "stop"
_STOP_ALL = "*"
_END_OF_REQUESTS = ""
"""The lines in the FIFO, besides provider names."""
_LOCK_TIMEOUT = 2.0
"""Seconds to wait for a process that only checks the lock."""


class RunLock:
    """The exclusive right to run a run, held by this process inside a ``with`` block.

    Raises:
        LedgerError: On entry, if another process holds the lock, which the message names, or if
            the folder is not writable.
    """

    def __init__(self, folder: Path, on_stop: Callable[[str], None] = lambda _: None) -> None:
        """Set the lock's parameters; entering the block acquires it.

        Args:
            folder: The run's folder; created if necessary.
            on_stop: Called from another thread for each request: with the provider whose job is to
                stop, an empty string for all jobs, or another line of `send_requests`.
        """
        self._folder = folder
        self._on_stop = on_stop
        self._fifo_path = folder / _STOP_FIFO
        self._fifo: int | None = None

    def __enter__(self) -> Self:
        """Acquire the lock and listen for stop requests."""
        self._file = self._open_lock_file()
        try:
            deadline = time.monotonic() + _LOCK_TIMEOUT
            while not self._try_lock():
                if time.monotonic() > deadline:
                    raise LedgerError(
                        f"run {self._folder.name} is held by {_read_holder(self._folder)}"
                    )
                time.sleep(0.05)
            self._file.truncate(0)
            self._file.write(f"{os.getpid()} {socket.gethostname()}")
            self._file.flush()
            self._listen()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and release the lock."""
        if self._fifo is not None:
            _remove(self._fifo_path)
            os.write(self._fifo, f"{_END_OF_REQUESTS}\n".encode())
            self._thread.join()
            os.close(self._fifo)
        self._file.truncate(0)
        self._file.close()

    def _try_lock(self) -> bool:
        """Lock the file, and return whether it is still the one in the folder.

        Another process can have removed the run while this one waited.
        """
        if not try_lock(self._file.fileno()):
            return False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._file.fileno()), (self._folder / _LOCK_FILE).stat()):
                return True
        self._file.close()
        self._file = self._open_lock_file()
        return False

    def _open_lock_file(self) -> TextIO:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / _LOCK_FILE
            if not path.is_file():
                _remove(path)  # a script can have put anything there
            return path.open("a+", encoding="utf-8")
        except OSError as error:
            raise self._not_writable(error) from error

    def _listen(self) -> None:
        if not hasattr(os, "mkfifo"):
            return
        try:
            _remove(self._fifo_path)
            os.mkfifo(self._fifo_path, 0o600)
            self._fifo = os.open(self._fifo_path, os.O_RDWR)
        except OSError as error:
            raise self._not_writable(error) from error
        self._thread = threading.Thread(
            target=self._read_requests, args=(self._fifo,), name="stop requests", daemon=True
        )
        self._thread.start()

    def _read_requests(self, fifo: int) -> None:
        with open(fifo, encoding="utf-8", closefd=False) as lines:
            while (line := lines.readline().rstrip("\n")) != _END_OF_REQUESTS:
                self._on_stop("" if line == _STOP_ALL else line)

    def _not_writable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"cannot run {self._folder.name} ({error.strerror}): {self._folder} must be writable, "
            "with free space"
        )


def lock_holder(folder: Path) -> str | None:
    """Return the process that runs the run in a folder, for messages; None if no process does."""
    path = folder / _LOCK_FILE
    if not path.is_file():
        return None
    try:
        with path.open("r+" if os.access(path, os.W_OK) else "r", encoding="utf-8") as file:
            if try_lock(file.fileno(), shared=True):  # others who only look are no holders
                return None
    except FileNotFoundError:
        return None
    return _read_holder(folder)


def request_stop(folder: Path, providers: Sequence[str] = ()) -> bool:
    """Ask the process that runs the run in a folder to stop its jobs, on some providers or all.

    Return whether there is one on this machine.
    """
    return send_requests(folder, *(providers or [_STOP_ALL]))


def send_requests(folder: Path, *lines: str) -> bool:
    """Send lines to the process that runs the run in a folder, all at once or not at all.

    Return whether there is one on this machine.
    """
    try:
        fifo = os.open(folder / _STOP_FIFO, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(fifo, "".join(f"{line}\n" for line in lines).encode())
    finally:
        os.close(fifo)
    return True


def _remove(path: Path) -> None:
    """Remove what has this name, if anything."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_holder(folder: Path) -> str:
    words: list[str] = []
    with suppress(FileNotFoundError):
        words = (folder / _LOCK_FILE).read_text(encoding="utf-8").split()
    return f"process {words[0]} on {words[1]}" if len(words) == 2 else "another process"


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; return whether no other process has locked it.

    Shared locks of several processes do not exclude each other.
    """
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
