"""The keeper: a small process that outlives cloudtune to end what it leaves behind.

It is told over its standard input which process groups run (``+123``) and which have ended
(``-123``). When cloudtune dies, however that happens, the keeper ends every group that is left, and
every process that carries the run's mark in its environment: those that left their group, and those
that were started so late that nobody could tell. ``q`` lets it go in peace.

It runs as a file of its own, on the standard library, and is never told anything but numbers.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

MARK = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends others does not end the keeper."""
_ROUNDS = 20


def marked(mark: str) -> list[int]:
    """Return the processes that were started with a ``CLOUDTUNE_RUN`` that begins with a mark."""
    if not Path("/proc/self/environ").exists():
        return _marked_elsewhere(mark)
    wanted = b"\0" + os.fsencode(f"{MARK}={mark}")
    return [pid for pid in _pids() if wanted in b"\0" + _environment(pid)]


def sweep(mark: str) -> None:
    """Kill every marked process, and those that they start meanwhile."""
    for _ in range(_ROUNDS):
        found = marked(mark)
        if not found:
            return
        for pid in found:
            _signal(os.kill, pid, signal.SIGKILL)
        time.sleep(0.01)


def keep(mark: str, parent: int, grace: float) -> None:
    """Wait until cloudtune lets go or dies; in that case end all that is left.

    Args:
        mark: What the run's processes carry.
        parent: The process id of cloudtune.
        grace: Seconds between asking and killing.
    """
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    if not _listen(parent, groups):
        _end(mark, groups, grace)


def _listen(parent: int, groups: set[int]) -> bool:
    """Keep the books of the groups; return whether we were let go in peace."""
    watched: list[int] = [0]
    if hasattr(os, "pidfd_open"):
        try:
            watched.append(os.pidfd_open(parent))
        except OSError:
            return False
    rest = b""
    while True:
        ready = select.select(watched, [], [])[0]
        if 0 not in ready:
            return False
        data = os.read(0, 65_536)
        if not data:
            return False
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line == b"q":
                return True
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))


def _end(mark: str, groups: set[int], grace: float) -> None:
    for group in groups:
        _signal(os.killpg, group, signal.SIGTERM)
    for pid in marked(mark):
        _signal(os.kill, pid, signal.SIGTERM)
    end = time.monotonic() + grace
    pause = 0.005
    while time.monotonic() < end:
        groups = {group for group in groups if _signal(os.killpg, group, 0)}
        if not groups and not marked(mark):
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    for group in groups:
        _signal(os.killpg, group, signal.SIGKILL)
    sweep(mark)


def _signal(how: object, target: int, number: int) -> bool:
    """Send a signal; return whether there was anybody to take it."""
    assert callable(how)
    try:
        how(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208 - faster


def _environment(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - faster
            return file.read()
    except OSError:
        return b""


def _marked_elsewhere(mark: str) -> list[int]:
    import psutil

    found: list[int] = []
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK, "")
        except (psutil.Error, OSError):
            continue
        if value.startswith(mark):
            found.append(process.pid)
    return found


if __name__ == "__main__":
    keep(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
