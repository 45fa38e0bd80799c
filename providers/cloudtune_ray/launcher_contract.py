"""The launcher's contract with Ray: measurements go into a file next to the log of the job.

The package of a run carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import os
import shutil
import signal

from cloudtune.launcher.contract import Contract, parse_flags
from cloudtune.trial import append_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

RECORD = "CLOUDTUNE_RAY_RECORD"
"""Environment variable: the file for the measurements of the job."""
SUPERVISED = "CLOUDTUNE_RAY_SUPERVISED"
"""Environment variable: the id of the process that started this one."""
WORK = "CLOUDTUNE_RAY_WORK"
"""Environment variable: the folder of this job, which is deleted at its end."""
STORAGE = "CLOUDTUNE_RAY_STORAGE"
"""Environment variable: the shared folder of the trial; absent without one."""
AFTER_STEP = "CLOUDTUNE_RAY_AFTER_STEP"
"""Environment variable: the last step of the trial's earlier start."""
_PULSE = 1.0


class RayContract(Contract):
    """Ray stops all processes of a job; the record of the job has its measurements."""

    signals_script = True

    def __init__(self, raw: Json, trial: Json, environment: Mapping[str, str]) -> None:
        """Store the values of the trial and the variables of the job."""
        super().__init__(raw, trial)
        self._record = environment[RECORD]
        self._supervisor = int(environment[SUPERVISED])
        self._work = environment[WORK]
        self._after_step = int(environment.get(AFTER_STEP) or 0)
        self._count = 0

    def publish(self, report: Mapping[str, Any]) -> str:
        """Write a report to the record, with its steps and a running number; print nothing.

        A report without a step counts for each metric, from the last step of an earlier start if
        the script continues from its checkpoint.
        """
        after = self._after_step if self.continues else 0
        for step, metrics in self.assign_steps(report, after).items():
            self._count += 1
            line = {"n": self._count, "step": step, "metrics": metrics, "time": report.get("time")}
            append_line(self._record, line)
        return ""

    def report_failure(self, reason: str) -> None:
        """Write why the trial failed to the record."""
        append_line(self._record, {"failure": reason})

    def tick(self) -> float | None:
        """End this process and its group if the job's program is gone."""
        if os.getppid() != self._supervisor:
            shutil.rmtree(self._work, ignore_errors=True)
            os.killpg(0, signal.SIGKILL)
        return _PULSE


def find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the contract if the program of a job of Ray started this process."""
    if RECORD not in os.environ:
        return None
    work = os.environ[WORK]
    storage = os.environ.get(STORAGE)
    trial: Json = {
        "trial": os.path.basename(os.environ[RECORD])[len("cloudtune-") : -len(".jsonl")],
        "inputs": study["inputs"],
        "checkpoint": os.path.join(storage or work, "checkpoint"),
        "output": os.path.join(storage or work, "output"),
    }
    return RayContract(parse_flags(study, argv), trial, dict(os.environ))
