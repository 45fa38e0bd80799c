"""Who runs a run: one process at a time, known by a lock that its death lets go of."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cloudtune.errors import LedgerError

_FILE = "holder"


@contextmanager
def hold(folder: Path) -> Generator[None]:
    """Hold a run, by its folder, for this process while the block runs.

    Raises:
        LedgerError: If another process holds it; the message says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("a+", encoding="utf-8") as file:
        if not _lock(file.fileno()):
            file.seek(0)
            words = file.read().split()
            who = f"process {words[0]} on {words[1]}" if len(words) == 2 else "another process"
            raise LedgerError(f"run {folder.name} is held by {who}")
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holder(folder: Path) -> int | None:
    """Return the process id of the cloudtune on this machine that runs a run now, if one does."""
    try:
        with (folder / _FILE).open("r+", encoding="utf-8") as file:
            if _lock(file.fileno()):
                return None
            words = file.read().split()
    except FileNotFoundError:
        return None
    return int(words[0]) if words and words[-1] == socket.gethostname() else None


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
