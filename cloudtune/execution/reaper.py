"""The reaper: a small process that outlives cloudtune and ends the processes that it leaves.

Cloudtune lists the running process groups in a file that both have open, and holds the write end
of the reaper's standard input. When cloudtune dies, for whatever reason, that input ends. The
reaper then ends every listed group and every process that has the run's mark in its environment,
which includes processes that left their group and processes too new to be listed. Last, it deletes
the folder for temporary files, if they have one. A ``q`` tells the reaper to exit without doing
anything.

Cloudtune runs this file directly, so it uses only the standard library. It sleeps until needed.
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
"""Signals that end cloudtune but not the reaper."""
_MAX_ROUNDS = 20
_STDIN_TIMEOUT = 0.5
_MAX_LIST_BYTES = 1024 * 1024


def find_processes(mark: str) -> list[int]:
    """Return the ids of the processes whose ``CLOUDTUNE_RUN`` begins with a mark."""
    return list(find_marks(mark))


def find_marks(mark: str) -> dict[int, str]:
    """Return each ``CLOUDTUNE_RUN`` that begins with a mark, by the id of its process."""
    if not Path("/proc/self/environ").exists():
        return _find_without_procfs(mark)
    variable = b"\0" + os.fsencode(f"{MARK_VARIABLE}=")
    marks: dict[int, str] = {}
    for pid in os.listdir("/proc"):  # noqa: PTH208 - faster
        if pid.isdigit():
            _, found, rest = (b"\0" + _environment(pid)).partition(variable + os.fsencode(mark))
            if found:
                marks[int(pid)] = mark + os.fsdecode(rest.partition(b"\0")[0])
    return marks


def kill_processes(mark: str) -> None:
    """Kill all processes with a mark, including those that they start meanwhile."""
    for _ in range(_MAX_ROUNDS):
        pids = find_processes(mark)
        if not pids:
            return
        for pid in pids:
            _signal(os.kill, pid, signal.SIGKILL)
        time.sleep(0.01)


def run_reaper(mark: str, parent: int, grace: float, list_file: int, folder: str = "") -> None:
    """Wait until cloudtune dies and end its processes, or return when it says so.

    The processes get ``grace`` seconds between the request to exit and the kill. The file
    descriptor ``list_file`` is that of the list of process groups, and ``folder`` is deleted then.
    """
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not _wait_for_quit(parent):
        groups, _, _ = os.pread(list_file, _MAX_LIST_BYTES, 0).partition(b"\n")
        _end_processes(mark, {int(group) for group in groups.split()}, grace)
        if folder:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)


def _wait_for_quit(parent: int) -> bool:
    """Wait for cloudtune's request to quit or its death; return whether it was the request."""
    fds: list[int] = [0]
    if hasattr(os, "pidfd_open"):
        try:
            fds.append(os.pidfd_open(parent))
        except ProcessLookupError:
            return False
        except OSError:
            pass  # unsupported by this kernel or sandbox: standard input is sufficient
    ready = select.select(fds, [], [])[0]
    if 0 not in ready:
        # Cloudtune died. A process that it was starting holds the input until its exec, after
        # which it can be found. Other processes may hold it forever, so the wait is limited.
        ready = select.select([0], [], [], _STDIN_TIMEOUT)[0]
    return 0 in ready and os.read(0, 1) == b"q"


def _end_processes(mark: str, groups: set[int], grace: float) -> None:
    for group in groups:
        _signal(os.killpg, group, signal.SIGTERM)
    for pid in find_processes(mark):
        _signal(os.kill, pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    pause = 0.005
    while time.monotonic() < deadline:
        groups = {group for group in groups if _signal(os.killpg, group, 0)}
        if not groups and not find_processes(mark):
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
    for group in groups:
        _signal(os.killpg, group, signal.SIGKILL)
    kill_processes(mark)


def _signal(send: Callable[[int, int], None], target: int, number: int) -> bool:
    """Send a signal; return whether the target exists."""
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _environment(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - faster
            return file.read()
    except OSError:
        return b""


def _find_without_procfs(mark: str) -> dict[int, str]:
    import psutil

    marks: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK_VARIABLE, "")
        except (psutil.Error, OSError):
            continue
        if value.startswith(mark):
            marks[process.pid] = value
    return marks


if __name__ == "__main__":
    run_reaper(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
