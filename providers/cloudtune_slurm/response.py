"""The state of a job, from its end file and, where that does not suffice, from the queue."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloudtune.provider import Json, TrainingJob
from cloudtune.results import Measurement, TrialState
from cloudtune_slurm.queue import LOST, OUT_OF_TIME, QueuedJob

TIMEOUT = "TIMEOUT"
OUT_OF_MEMORY = "OUT_OF_MEMORY"
GONE = "GONE"
"""The word for a job that is neither in the queue nor has an end file."""
_OVER_MEMORY = re.compile(r"slurmstepd\S*: error: .*exceeded (job )?memory limit", re.IGNORECASE)
"""What Slurm 24.11 writes into the log of a job that it kills for its memory without cgroups, by
``JobAcctGatherParams=OverMemoryKill`` (slurm.conf(5)). The job's state is then only ``FAILED``."""


@dataclass(frozen=True)
class Ending:
    """An end file."""

    file: Json

    @property
    def code(self) -> int:
        """The script's exit code, negative for a signal."""
        code: int | None = self.file.get("code")
        return 1 if code is None else code

    @property
    def stopped(self) -> bool:
        """Whether a signal asked the script to stop."""
        return bool(self.file.get("stopped"))

    @property
    def timed_out(self) -> bool:
        """Whether a time limit stopped it."""
        return bool(self.file.get("timed_out"))

    @property
    def succeeded(self) -> bool:
        """Whether the script ended by itself, without an error."""
        return self.code == 0 and not (self.stopped or self.timed_out)

    @property
    def needs_queue(self) -> bool:
        """Whether only Slurm knows why the script ended: preemption, or a lack of memory.

        The kernel may kill a process of the script, which then exits with any code.
        """
        return not self.timed_out and (self.stopped or self.code != 0)


@dataclass(frozen=True)
class _Outcome:
    state: TrialState
    word: str
    reason: str = ""
    lost: bool = False
    out_of_memory: bool = False


def training_job(
    *,
    begin: Json | None,
    ending: Ending | None,
    queued: QueuedJob | None,
    is_over: bool,
    stopping: bool,
    measurements: Sequence[Measurement],
    log: str,
    artifacts: str,
    tail: Sequence[str],
    has_timeout: bool,
) -> TrainingJob:
    """Return the state of a job.

    Args:
        begin: The file that its launcher wrote first.
        ending: Its end file.
        queued: The job as squeue showed it last.
        is_over: Whether it has ended, and nothing more will be known of it.
        stopping: Whether cloudtune has asked it to stop.
        measurements: All measurements.
        log: The address of its log.
        artifacts: The address of its output files.
        tail: The last lines of its log, if it has no end file.
        has_timeout: Whether the study has a ``trial_timeout``.
    """
    if not is_over:
        outcome = _Outcome(_live_state(begin, queued), _word(begin, queued))
    elif stopping and not (ending and ending.succeeded):
        outcome = _Outcome("cancelled", queued.word if queued else "CANCELLED")
    elif ending is not None:
        outcome = _file_outcome(ending, queued, has_timeout=has_timeout)
    else:
        outcome = _queue_outcome(begin, queued, tail, has_timeout=has_timeout)
    started = begin.get("time") if begin else None
    ended = None
    if is_over:
        ended = (ending.file.get("ended") if ending else None) or time.time()
    return TrainingJob(
        state=outcome.state,
        word=outcome.word,
        stopping=stopping and not is_over,
        measurements=measurements,
        started=started,
        ended=ended,
        reason=outcome.reason,
        billed_seconds=ended - started if ended and started else None,
        machine=begin.get("node") if begin else None,
        log=log,
        artifacts=artifacts,
        lost=outcome.lost,
        out_of_memory=outcome.out_of_memory,
    )


def invalid_job(job: TrainingJob, problem: str) -> TrainingJob:
    """Return a job whose script wrote something invalid: it has failed, whatever it does."""
    return replace(
        job,
        state="failed",
        stopping=False,
        ended=job.ended or time.time(),
        reason=problem,
        lost=False,
        out_of_memory=False,
    )


def _live_state(begin: Json | None, queued: QueuedJob | None) -> TrialState:
    if begin is not None or (queued is not None and (queued.runs or queued.ended)):
        return "running"
    return "waiting" if queued is None or queued.waits else "unknown"


def _word(begin: Json | None, queued: QueuedJob | None) -> str:
    if queued is not None and not (begin and queued.waits):
        return queued.word
    return "RUNNING" if begin else "PENDING"


def _file_outcome(ending: Ending, queued: QueuedJob | None, *, has_timeout: bool) -> _Outcome:
    state = queued.state if queued and queued.ended else ""
    if ending.timed_out or (ending.stopped and state in OUT_OF_TIME):
        return _Outcome("failed", TIMEOUT, _timeout_reason(has_timeout=has_timeout))
    if ending.needs_queue and state in LOST:
        return _lost(state, queued)
    reason = str(ending.file.get("reason") or "")
    if state == OUT_OF_MEMORY and ending.code:
        prefix = "" if reason.startswith("out of memory") else "out of memory: "
        return _Outcome("failed", OUT_OF_MEMORY, prefix + reason, out_of_memory=True)
    if ending.stopped and state in ("CANCELLED", ""):
        return _Outcome("cancelled", state or "CANCELLED")
    if ending.code == 0:
        return _Outcome("completed", "COMPLETED", reason)
    return _Outcome("failed", state or "FAILED", reason or f"exit code {ending.code}")


def _queue_outcome(
    begin: Json | None, queued: QueuedJob | None, tail: Sequence[str], *, has_timeout: bool
) -> _Outcome:
    if queued is None:
        reason = "squeue no longer shows its job, and it wrote no end file"
        return _Outcome("cancelled", GONE, "\n".join([reason, *tail]), lost=True)
    if queued.state in LOST:
        return _lost(queued.state, queued)
    if queued.state in OUT_OF_TIME:
        return _Outcome("failed", TIMEOUT, _timeout_reason(has_timeout=has_timeout))
    lines = "\n".join(tail)
    if queued.state == OUT_OF_MEMORY or _OVER_MEMORY.search(lines):
        return _Outcome("failed", queued.state, f"out of memory\n{lines}", out_of_memory=True)
    if queued.state == "CANCELLED":
        return _Outcome("cancelled", queued.state)
    if begin:
        reason = "the launcher was killed"
    elif tail:
        reason = "the job ended before the script began"
    else:
        reason = (
            "the job ended before the script began, without a log: do the compute nodes share "
            "providers.slurm.folder, and does it have space?"
        )
    detail = f" ({queued.reason})" if queued.reason else ""
    return _Outcome("failed", queued.state, f"{reason}{detail}\n{lines}".strip())


def _lost(state: str, queued: QueuedJob | None) -> _Outcome:
    detail = f" ({queued.reason})" if queued and queued.reason else ""
    return _Outcome("cancelled", state, f"Slurm ended its job: {state}{detail}", lost=True)


def _timeout_reason(*, has_timeout: bool) -> str:
    return "its trial_timeout was reached" if has_timeout else "its job's time limit was reached"
