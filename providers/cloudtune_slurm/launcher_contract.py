"""The launcher's contract with a job of Slurm: files in the folder of a start, on a shared disk.

The folder of a job carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import json
import os

from cloudtune.launcher.call import THREADS
from cloudtune.launcher.contract import Contract
from cloudtune.trial import append_line, load_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

TRIAL_FILE = "trial.json"
"""In the folder of a start: what the launcher reads."""
BEGIN_FILE = "begin.json"
"""In the folder of a start: which job runs it, where and since when."""
REPORTS_FILE = "reports.jsonl"
"""In the folder of a start: one measurement a line."""
END_FILE = "end.json"
"""In the folder of a start: how the script ended. Complete as soon as it exists."""
LIMIT_SLACK = 150.0
"""Seconds before a job's time limit in which a stop signal is that of the limit.

Slurm sends it up to 60 s early (sbatch's manual page, --signal), next to the grace period.
"""
_LONGEST_WAIT = 3600.0
"""Chosen: seconds until the next look at the clock; the system refuses waits of centuries."""


class SlurmContract(Contract):
    """Writes what happens to a trial into the folder of its start.

    Each write opens and closes the file: NFS then shows the content to other machines.
    """

    def __init__(self, study: Json, folder: str) -> None:
        """Read the trial's file and claim the start.

        Raises:
            OSError: If another job runs this start, or a file cannot be read or written.
        """
        import time

        self._folder = folder
        self._file: Json = load_json(os.path.join(folder, TRIAL_FILE))
        names = ("trial", "inputs", "checkpoint", "output")
        super().__init__(self._file["parameters"], {name: self._file[name] for name in names})
        if "constants" in self._file:
            self.trial["constants"] = self._file["constants"]
        self.grace = self._file["grace"]
        self._variables: Json = study["trial"].get("env") or {}
        self._started = time.time()
        timeout = self._file.get("timeout")
        self._deadline = time.monotonic() + timeout if timeout else None
        self._timed_out = False
        self._reason = ""
        self._end: Json = {}
        self._claim()

    def _claim(self) -> None:
        """Write the file of the beginning; a second job of the same start must not run.

        Slurm restarts a job under the same id.
        """
        job = os.environ.get("SLURM_JOB_ID", "")
        begin = {"job": job, "node": _node(), "time": self._started}
        try:
            file = os.open(self._path(BEGIN_FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            other = _read_begin(self._path(BEGIN_FILE)).get("job")
            if other != job:
                self._folder = ""  # the files belong to the other job
                raise OSError("job {} runs this start of the trial".format(other)) from None
            return
        with os.fdopen(file, "w", encoding="utf-8") as begin_file:
            json.dump(begin, begin_file)

    def publish(self, report: Mapping[str, Any]) -> str:
        """Append a report to the file, with a step for each metric."""
        after = self._file["after_step"] if self.continues else 0
        for step, metrics in self.assign_steps(report, after).items():
            line = {"time": report["time"], "step": step, "metrics": metrics}
            append_line(self._path(REPORTS_FILE), line)
        return ""

    def report_failure(self, reason: str) -> None:
        """Put the reason into the end file."""
        self._reason = reason

    def report_exit(self, code: int, *, stopped: bool) -> None:
        """Put the exit code into the end file, and whether the time limit stopped the script."""
        import time

        now = time.time()
        limit = float(os.environ.get("SLURM_JOB_END_TIME") or "inf")
        near = stopped and limit - now < self._file["grace"] + LIMIT_SLACK
        self._end = {
            "code": code,
            "stopped": stopped,
            "timed_out": self._timed_out or near,
            "ended": now,
        }

    def script_variables(self, _folder: str) -> dict[str, str]:
        """Limit numeric libraries to the job's CPUs; the study's and the job's variables win."""
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")
        if not cpus:
            return {}
        return {
            name: cpus for name in THREADS if name not in os.environ and name not in self._variables
        }

    def tick(self) -> float | None:
        """Stop the script when its time is over; Slurm's own limit is coarser."""
        import signal
        import time

        if self._deadline is None:
            return None
        left = float(self._deadline - time.monotonic())
        if left > 0:
            return min(left, _LONGEST_WAIT)
        self._deadline = None
        self._timed_out = True
        os.kill(os.getpid(), signal.SIGTERM)
        return None

    def close(self) -> None:
        """Kill what the script left behind, and write the end file, as a whole."""
        if not self._folder:
            return
        _kill_group()
        end = {"job": os.environ.get("SLURM_JOB_ID", ""), "node": _node(), "started": self._started}
        end.update(self._end, reason=self._reason)
        path = self._path(END_FILE)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(end, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def _kill_group() -> None:
    """Kill all other processes of this process's group, if the group is its own.

    Slurm's plugin proctrack/linuxproc finds the processes of a job by their parents, so it misses
    those whose parent has ended (measured with 24.11.5).
    """
    import contextlib
    import signal
    import time

    group = os.getpid()
    if os.getpgrp() != group:
        return
    for _ in range(20):  # one of them may be about to start another
        others = [pid for pid in _processes() if pid != group and _group_of(pid) == group]
        if not others:
            return
        for pid in others:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:  # no Linux
        return []


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return -1


def _node() -> str:
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _read_begin(path: str) -> Json:
    """Return the file of another job, which may be about to write it."""
    import time

    for _ in range(20):
        try:
            return load_json(path)
        except ValueError:
            time.sleep(0.1)
    return {}


def find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the contract of a job whose only argument is the folder of its start."""
    if len(argv) != 1:
        return None
    # The Python of the cluster has the packages. Many trials must not install into it at a time.
    study["trial"].pop("requirements", None)
    return SlurmContract(study, argv[0])
