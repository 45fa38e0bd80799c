"""The keeper: a small process that outlives cloudtune to end what it leaves behind.

Cloudtune keeps a list of the process groups that run in a file which the keeper has open too, and
holds the keeper's standard input. When cloudtune dies, however that happens, that input ends, and
the keeper ends every group of the list, and every process that carries the run's mark in its
environment: those that left their group, and those that were started so late that nobody could
list them. A ``q`` lets the keeper go in peace.

It runs as a file of its own on the standard library, and sleeps until it is needed.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

MARK_VARIABLE = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends others does not end the keeper."""
_ROUNDS = 20
_PATIENCE = 0.5
_LONGEST_LIST = 1024 * 1024


def find_processes(mark: str) -> list[int]:
    """Return the processes that were started with a ``CLOUDTUNE_RUN`` that begins with a mark."""
    if not Path("/proc/self/environ").exists():
        return _marked_elsewhere(mark)
    wanted = b"\0" + os.fsencode(f"{MARK_VARIABLE}={mark}")
    return [pid for pid in _pids() if wanted in b"\0" + _environment(pid)]


def kill_processes(mark: str) -> None:
    """Kill every marked process, and those that they start meanwhile."""
    for _ in range(_ROUNDS):
        found = find_processes(mark)
        if not found:
            return
        for pid in found:
            _signal(os.kill, pid, signal.SIGKILL)
        time.sleep(0.01)


def run_reaper(mark: str, parent: int, grace: float, list_file: int) -> None:
    """Wait until cloudtune lets go or dies; in that case end all that is left.

    Args:
        mark: What the run's processes carry.
        parent: The process id of cloudtune.
        grace: Seconds between asking and killing.
        list_file: The open file with the list of groups.
    """
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not _let_go(parent):
        groups, _, _ = os.pread(list_file, _LONGEST_LIST, 0).partition(b"\n")
        _end(mark, {int(group) for group in groups.split()}, grace)


def _let_go(parent: int) -> bool:
    """Wait for cloudtune's word or its death; return whether it was the word."""
    watched: list[int] = [0]
    if hasattr(os, "pidfd_open"):
        try:
            watched.append(os.pidfd_open(parent))
        except ProcessLookupError:
            return False
        except OSError:
            pass  # this kernel or sandbox has none: our input tells, too
    heard = select.select(watched, [], [])[0]
    if 0 not in heard:
        # It died. A process that it was just starting holds our input until it runs, and can be
        # found from then on; somebody else may hold it for ever.
        heard = select.select([0], [], [], _PATIENCE)[0]
    return 0 in heard and os.read(0, 1) == b"q"


def _end(mark: str, groups: set[int], grace: float) -> None:
    for group in groups:
        _signal(os.killpg, group, signal.SIGTERM)
    for pid in find_processes(mark):
        _signal(os.kill, pid, signal.SIGTERM)
    end = time.monotonic() + grace
    pause = 0.005
    while time.monotonic() < end:
        groups = {group for group in groups if _signal(os.killpg, group, 0)}
        if not groups and not find_processes(mark):
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    for group in groups:
        _signal(os.killpg, group, signal.SIGKILL)
    kill_processes(mark)


def _signal(how: Callable[[int, int], None], target: int, number: int) -> bool:
    """Send a signal; return whether there was anybody to take it."""
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
            value = process.environ().get(MARK_VARIABLE, "")
        except (psutil.Error, OSError):
            continue
        if value.startswith(mark):
            found.append(process.pid)
    return found


if __name__ == "__main__":
    run_reaper(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
