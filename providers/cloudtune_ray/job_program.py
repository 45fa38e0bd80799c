"""The program of a job: it runs the launcher in a folder of its own, and reports how that ends.

It is in the package of each run, so it uses only the standard library and the syntax of Python 3.7.

Ray unpacks a package once per node, and all jobs there share that folder. Ray signals the processes
of a job that exist when it is stopped, and kills them after a while. If the supervisor of a job
dies, the job may live on: on each path this program or the launcher ends the whole group.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = "CLOUDTUNE_RAY_RECORD"
"""Environment variable of the launcher: the file with the job's measurements and its end."""
SUPERVISED = "CLOUDTUNE_RAY_SUPERVISED"
"""Environment variable of the launcher: the id of this process."""
WORK = "CLOUDTUNE_RAY_WORK"
"""Environment variable of the launcher: its own folder, which is deleted at the end."""
GRACE = "RAY_JOB_STOP_WAIT_TIME_S"
"""Environment variable: seconds after which Ray kills a job that was stopped."""
LAUNCHER = "cloudtune_launch.py"
_KILL_EARLIER = 1.0
"""Seconds before Ray does, so that processes that Ray does not know end, too."""
_PULSE = 0.5


def record_path(job: str) -> str:
    """Return the file for the measurements of a job: in Ray's log folder, next to the job's log.

    Raises:
        OSError: If the log folder is not found.
    """
    folders: list[str] = []
    try:
        log = os.readlink("/proc/self/fd/1")
        if os.path.basename(log).startswith("job-driver-"):
            folders.append(os.path.dirname(log))
    except OSError:
        pass
    session, found, _ = os.getcwd().partition(os.sep + "runtime_resources" + os.sep)
    if found:
        folders.append(os.path.join(session, "logs"))
    for folder in folders:
        if os.path.isdir(folder):
            return os.path.join(folder, "cloudtune-" + job + ".jsonl")
    raise OSError("cannot find Ray's log folder from " + os.getcwd())


def main(argv: list[str]) -> int:
    """Run the launcher with the arguments of the trial; the first one is the name of the job."""
    job, words = argv[0], argv[1:]
    stops: list[float] = []

    def stop(_number: int, _frame: Any) -> None:
        stops.append(time.monotonic())

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    supervisor = os.getppid()
    try:
        record = record_path(job)
        work = tempfile.mkdtemp(prefix="cloudtune-")
    except OSError as error:
        print("cloudtune: {}".format(error), file=sys.stderr)
        return 2
    try:
        return _run(record, work, words, supervisor, stops)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(record: str, work: str, words: list[str], supervisor: int, stops: list[float]) -> int:
    _append(record, {"start": time.time(), "host": os.uname().nodename})
    try:
        bundle = os.path.join(work, "bundle")
        shutil.copytree(os.getcwd(), bundle, symlinks=True)
        env = {**os.environ, RECORD: record, SUPERVISED: str(os.getpid()), WORK: work}
        command = [sys.executable, os.path.join(bundle, LAUNCHER)]
        launcher = subprocess.Popen(command + words, env=env, cwd=bundle, start_new_session=True)
    except OSError as error:
        _append(record, {"end": 2, "reason": "cannot start the trial: {}".format(error)})
        return 2
    if stops:
        launcher.send_signal(signal.SIGTERM)
    grace = max(0.0, float(os.environ.get(GRACE) or 3) - _KILL_EARLIER)
    orphaned = False
    while launcher.poll() is None:
        orphaned = orphaned or os.getppid() != supervisor
        if orphaned or (stops and time.monotonic() > stops[0] + grace):
            _kill_group(launcher.pid)
        try:
            launcher.wait(_PULSE if not stops else 0.1)
        except subprocess.TimeoutExpired:
            pass
    _kill_group(launcher.pid)
    code = launcher.returncode
    if not orphaned:  # otherwise the trial is lost, which only Ray reports
        _append(record, {"end": code, "time": time.time(), "stopped": bool(stops)})
    return code if code >= 0 else 128 - code


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass


def _append(path: str, line: dict[str, Any]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
