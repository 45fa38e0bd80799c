"""The state of slurmctld: jobs and nodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.emulator_kit import Json
from cloudtune.emulator_kit import state as kit
from cloudtune_slurm.emulator.conf import NodeConf

FINAL = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"),
    }
)
"""The states in which a job has ended (JOB STATE CODES of squeue(1), 24.11)."""


@dataclass(frozen=True)
class EarlySignal:
    """``--signal``: a signal before the time limit."""

    number: int
    seconds: int
    batch: bool
    """Whether it is sent to the batch script; otherwise only to job steps, of which none exist."""


@dataclass(frozen=True)
class Spec:
    """The request of a job: the fields of the document that ``sbatch`` sends."""

    name: str
    script: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    login: bool
    """Whether the variables of a login are added, as ``--get-user-env`` does."""
    command: str
    """The path of the script; empty for one from standard input."""
    chdir: str
    output: str
    error: str
    append: bool
    comment: str
    partition: str
    account: str
    qos: str
    constraint: str
    nodelist: str
    cpus: int
    tasks: int
    memory: int | None
    """MB on the node; 0 for all of it, None for the default."""
    memory_per_cpu: int | None
    gpus: int
    gres: str
    """As requested."""
    time: int | None
    """Minutes; 0 for no limit, None for the partition's."""
    signal: EarlySignal | None
    requeue: bool
    hold: bool


@dataclass
class Job(kit.ScriptJob):
    """A job. Changed only under the emulator's lock."""

    RUNNING = "RUNNING"
    FINAL = FINAL

    id: int
    spec: Spec
    partition: str
    limit: int | None
    """Minutes; None for no limit."""
    state: str = field(default="PENDING", kw_only=True)
    reason: str = "None"
    exit_code: int = 0
    exit_signal: int = 0
    node: str = ""
    memory: int = 0
    """MB on the node that runs it."""
    outcome: str = ""
    """The state that it enters once its processes have ended, if that is decided."""
    restarts: int = 0
    eligible: float = field(default_factory=time.time)
    """When it may start."""

    @property
    def is_completing(self) -> bool:
        """Whether its end is decided and its processes have not ended."""
        return bool(self.outcome) and self.state == "RUNNING"

    @property
    def shown_state(self) -> str:
        """The state as ``squeue`` shows it."""
        return "COMPLETING" if self.is_completing else self.state

    def end(self, state: str, reason: str = "None") -> None:
        """Enter a final state."""
        self.enter(state)
        self.reason = reason

    def output_file(self, pattern: str) -> Path:
        """Return the file of a pattern (FILENAME PATTERN of sbatch(1), 24.11)."""
        values = {
            "j": str(self.id),
            "A": str(self.id),
            "J": str(self.id),
            "a": "4294967294",
            "x": self.spec.name,
            "N": self.node,
            "n": "0",
            "t": "0",
            "s": "batch",
            "u": user_name(),
            "%": "%",
        }
        text, index = "", 0
        while index < len(pattern):
            letter = pattern[index + 1 : index + 2]
            if pattern[index] == "%" and letter in values:
                text += values[letter]
                index += 2
            else:
                text += pattern[index]
                index += 1
        return Path(self.spec.chdir) / text


@dataclass
class Node:
    """A node and what is free on it."""

    conf: NodeConf
    cpus: int
    memory: int
    gpus: int
    is_down: bool = False

    def fits(self, job: Job, memory: int) -> bool:
        """Return whether a job can start here now."""
        spec = job.spec
        enough = self.cpus >= spec.cpus and self.memory >= memory and self.gpus >= spec.gpus
        return enough and not self.is_down

    @property
    def shown_state(self) -> str:
        """The state as ``sinfo`` shows it in its extended form."""
        if self.is_down:
            return "down*"
        if self.cpus == self.conf.cpus:
            return "idle"
        return "mixed" if self.cpus else "allocated"


def user_name() -> str:
    """Return the user of the emulator, to whom all jobs belong."""
    import getpass

    return getpass.getuser()


def describe_job(job: Job) -> Json:
    """Return a job as the commands receive it."""
    spec = job.spec
    end = job.ended
    if end is None and job.started is not None and job.limit is not None:
        end = job.started + job.limit * 60
    return {
        "id": job.id,
        "name": spec.name,
        "state": job.shown_state,
        "reason": job.reason,
        "exit_code": job.exit_code,
        "exit_signal": job.exit_signal,
        "node": job.node,
        "partition": job.partition,
        "limit": job.limit,
        "submitted": job.created,
        "started": job.started,
        "ended": end,
        "is_over": job.is_over,
        "eligible": job.eligible,
        "seconds": _run_seconds(job),
        "comment": spec.comment,
        "account": spec.account,
        "chdir": spec.chdir,
        "command": spec.command,
        "cpus": spec.cpus,
        "user": user_name(),
        "memory": job.memory,
        "requested_memory": spec.memory,
        "gres": spec.gres,
        "output": str(job.output_file(spec.output)),
        "restarts": job.restarts,
        "qos": spec.qos,
        "error": str(job.output_file(spec.error or spec.output)),
        "requeue": spec.requeue,
        "features": spec.constraint,
        "tasks": spec.tasks,
        "nodelist": spec.nodelist,
    }


def _run_seconds(job: Job) -> float:
    if job.started is None or job.state == "PENDING":
        return 0.0
    return max(0.0, (job.ended or time.time()) - job.started)
