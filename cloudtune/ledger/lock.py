"""Who runs a run: one process at a time, known by a lock and a pipe that its death lets go of."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cloudtune.errors import LedgerError

_FILE = "holder"
_PIPE = "stop"
_ALL = "*"
_NO_MORE = ""
"""Words in the pipe beside the names of providers: each job is to end; nobody listens any more."""
_PATIENCE = 2.0
"""Seconds to wait for somebody who only looks whether the run is held."""


@dataclass(frozen=True)
class Holder:
    """The process that runs a run; both are None in the moment before it has said so."""

    process: int | None
    host: str | None

    def __str__(self) -> str:
        if self.process is None:
            return "another process"
        return f"process {self.process} on {self.host}"


@contextmanager
def hold(folder: Path, on_stop: Callable[[str], None] = lambda _: None) -> Generator[None]:
    """Hold a run, by its folder, for this process while the block runs.

    Args:
        folder: The run's folder; made if need be.
        on_stop: Called from another thread each time that somebody asks the run to end, with a
            provider's name where only its job is meant.

    Raises:
        LedgerError: If another process holds it, of which the message says which, or if the folder
            cannot be written.
    """
    with _opened(folder) as file:
        due = time.monotonic() + _PATIENCE
        while not _lock(file.fileno()):
            if time.monotonic() > due:
                raise LedgerError(f"run {folder.name} is held by {_named(folder)}")
            time.sleep(0.05)
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        try:
            with _listening(folder / _PIPE, on_stop):
                yield
        finally:
            file.truncate(0)


def _opened(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise _not_ours(folder, error) from error
    return file


def _not_ours(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"run {folder.name} cannot be worked on ({error.strerror}): {folder} must be a folder that "
        "you can write, with room left"
    )


def holder(folder: Path) -> Holder | None:
    """Return who runs a run now, or None if nobody does."""
    path = folder / _FILE
    try:
        with path.open("r+" if os.access(path, os.W_OK) else "r", encoding="utf-8") as file:
            if _lock(file.fileno()):
                return None
    except FileNotFoundError:
        return None
    return _named(folder)


def ask_to_stop(folder: Path, providers: Sequence[str] = ()) -> bool:
    """Ask the process that runs a run to end it; return whether there is one on this machine.

    Args:
        folder: The run's folder.
        providers: Whose jobs are meant; all when left out.
    """
    try:
        pipe = os.open(folder / _PIPE, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(pipe, "".join(f"{name}\n" for name in providers or [_ALL]).encode())
    finally:
        os.close(pipe)
    return True


def _named(folder: Path) -> Holder:
    words = (folder / _FILE).read_text(encoding="utf-8").split()
    return Holder(int(words[0]), words[1]) if len(words) == 2 else Holder(None, None)


@contextmanager
def _listening(path: Path, on_stop: Callable[[str], None]) -> Generator[None]:
    """Call ``on_stop`` for each wish that comes through a pipe while the block runs."""
    if not hasattr(os, "mkfifo"):
        yield
        return
    try:
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        pipe = os.open(path, os.O_RDWR)
    except OSError as error:
        raise _not_ours(path.parent, error) from error

    def listen() -> None:
        with open(pipe, encoding="utf-8", closefd=False) as words:
            while (word := words.readline().rstrip("\n")) != _NO_MORE:
                on_stop("" if word == _ALL else word)

    thread = threading.Thread(target=listen, name="stop requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.write(pipe, f"{_NO_MORE}\n".encode())
        thread.join()
        os.close(pipe)


def _lock(descriptor: int) -> bool:
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
