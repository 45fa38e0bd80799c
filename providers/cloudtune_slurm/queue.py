"""The jobs of a run as squeue shows them: called rarely, for all jobs at once."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cloudtune_slurm.host import Host

FORMAT = "%j|%A|%T|%r|%N|%S|%e"
"""Name, id, state, reason, nodes, start and end. One line a job, in every version."""
SOON = 5.0
"""Seconds between two calls if something is about to change, or a job may not exist."""
_MAX_NAMES = 1_000
"""Job names in one call: an argument has at most 128 KiB (Linux, MAX_ARG_STRLEN)."""

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"})
LOST = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED", "LAUNCH_FAILED"})
"""The states of jobs that ended through no fault of the script: squeue's manual page of 24.11,
"JOB STATE CODES"."""
ENDED = LOST | frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"}
)
OUT_OF_TIME = frozenset({"TIMEOUT", "DEADLINE"})
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
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED

    @property
    def word(self) -> str:
        """The state, and why a job waits."""
        return f"{self.state} ({self.reason})" if self.waits and self.reason else self.state


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
        """When squeue was last called, by `time.monotonic`."""

    def refresh(self, names: Collection[str], *, soon: bool = False) -> None:
        """Ask for jobs by name if it is time; an ended job is remembered.

        Args:
            names: The names of the jobs.
            soon: Whether it is time already `SOON` seconds after the last call.

        Raises:
            SlurmError: If squeue fails.
        """
        now = time.monotonic()
        due = min(self._due, self.asked_at + min(SOON, self.interval)) if soon else self._due
        if not names or (now < due and self.asked_at):
            return
        self._due = now + self.interval  # also if the call fails
        ordered, jobs = sorted(names), dict[str, QueuedJob]()
        for start in range(0, len(ordered), _MAX_NAMES):
            part = ",".join(ordered[start : start + _MAX_NAMES])
            words = ["squeue", "--noheader", "--states=all", f"--format={FORMAT}", "--me"]
            jobs |= read_jobs(self._host.run([*words, f"--name={part}"]))
        for name, job in self.jobs.items():
            if job.ended and name in names:
                jobs.setdefault(name, job)
        self.jobs = jobs
        self.asked_at = time.monotonic()

    def ask_soon(self) -> None:
        """Make the next call early, since something is about to change."""
        self._due = min(self._due, time.monotonic() + min(SOON, self.interval))


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
