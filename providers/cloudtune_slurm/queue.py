"""The jobs of a run as squeue shows them: called rarely, for all jobs at once."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial

from cloudtune_slurm.host import Host

FORMAT = "%j|%A|%T|%r|%N|%S|%e"
"""Name, id, state, reason, nodes, start and end. One line a job, in every version."""
SOON = 5.0
"""Seconds between two calls if something is about to change, or a job may not exist."""
_PATIENCE = 5.0
"""Chosen: seconds that one poll waits for squeue, which may hang for minutes."""
_MAX_NAMES = 1_000
"""Job names in one call: an argument has at most 128 KiB (Linux, MAX_ARG_STRLEN)."""

WAITING = frozenset(
    {
        *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
        *("RESV_DEL_HOLD", "SPECIAL_EXIT"),
    }
)
RUNNING = frozenset(
    {
        *("RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"),
        "REVOKED",
    }
)
"""A job that is `REVOKED` has begun, on another cluster of a federation."""
LOST = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "LAUNCH_FAILED"})
"""The states of jobs that ended through no fault of the script."""
ENDED = LOST | frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"}
)
OUT_OF_TIME = frozenset({"TIMEOUT", "DEADLINE"})
"""These sets: squeue's manual page of 24.11, "JOB STATE CODES". Any other state is unknown."""
_LINE = re.compile(r"(?P<name>[^|]+)\|(?P<id>\d+)\|(?P<state>[A-Z_]+)\|(?P<reason>.*)\|.*\|.*\|.*")


@dataclass(frozen=True)
class QueuedJob:
    """A job as squeue shows it."""

    id: str
    state: str
    reason: str
    """Why it waits, or how it ended, in Slurm's words."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.state in WAITING

    @property
    def runs(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in RUNNING

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED

    @property
    def word(self) -> str:
        """The state, and why a job waits."""
        is_plain = self.runs or self.ended or not self.reason
        return self.state if is_plain else f"{self.state} ({self.reason})"


_Jobs = dict[str, QueuedJob]


class Queue:
    """Asks squeue once in an interval, or earlier if something is about to change."""

    def __init__(self, host: Host, interval: float) -> None:
        """Create the queue; nothing is called yet."""
        self._host = host
        self.interval = interval
        """Seconds between two calls."""
        self._due = 0.0
        self.jobs: Mapping[str, QueuedJob] = {}
        """The jobs by name, as squeue showed them last."""
        self.asked_at = 0.0
        """When the call that shows `jobs` began, by `time.monotonic`."""
        self._answer: Future[_Jobs] | None = None
        """The answer of the call that runs."""
        self._began = 0.0

    def refresh(self, names: Collection[str], *, soon: bool = False) -> None:
        """Ask for jobs by name if it is time; an ended job is remembered.

        If squeue hangs, `jobs` remains as it is, and a later refresh takes the answer.

        Args:
            names: The names of the jobs.
            soon: Whether it is time already `SOON` seconds after the last call, and the answer
                is waited for.

        Raises:
            SlurmError: If squeue fails.
        """
        if self._answer and not self._take_answer(names, None if soon else 0.0):
            return
        now = time.monotonic()
        due = min(self._due, self.asked_at + min(SOON, self.interval)) if soon else self._due
        if not names or (now < due and self.asked_at):
            return
        self._due = now + self.interval  # also if the call fails
        self._began = now
        self._answer = _call_in_thread(partial(self._ask, sorted(names)))
        self._take_answer(names, None if soon else _PATIENCE)

    def _ask(self, names: Sequence[str]) -> _Jobs:
        jobs: _Jobs = {}
        words = ["squeue", "--noheader", "--states=all", f"--format={FORMAT}", "--me"]
        for start in range(0, len(names), _MAX_NAMES):
            part = ",".join(names[start : start + _MAX_NAMES])
            jobs |= read_jobs(self._host.run([*words, f"--name={part}"]))
        return jobs

    def _take_answer(self, names: Collection[str], timeout: float | None) -> bool:
        """Return whether the call has ended, for which this waits some seconds or without limit."""
        assert self._answer is not None
        if not wait([self._answer], timeout).done:
            return False
        answer, self._answer = self._answer, None
        jobs = answer.result()
        for name, job in self.jobs.items():
            if job.ended and name in names:
                jobs.setdefault(name, job)
        self.jobs = jobs
        self.asked_at = self._began
        return True

    def ask_soon(self) -> None:
        """Make the next call early, since something is about to change."""
        self._due = min(self._due, time.monotonic() + min(SOON, self.interval))


def _call_in_thread(function: Callable[[], _Jobs]) -> Future[_Jobs]:
    """Return the future result of a call, for which no process waits when it exits."""
    future: Future[_Jobs] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - the thread that polls raises it
            future.set_exception(error)

    threading.Thread(target=call, name="squeue", daemon=True).start()
    return future


def read_jobs(output: str) -> dict[str, QueuedJob]:
    """Return the jobs in squeue's output by name; of several with one name, one that runs."""
    jobs: dict[str, QueuedJob] = {}
    for line in output.splitlines():
        match = _LINE.fullmatch(line.strip())
        if not match:
            continue
        reason = match["reason"] if match["reason"] != "None" else ""
        job = QueuedJob(match["id"], match["state"], reason)
        known = jobs.get(match["name"])
        if known is None or (known.ended and not job.ended):
            jobs[match["name"]] = job
    return jobs
