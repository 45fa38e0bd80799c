"""The events of a job: trials that start, wait for a machine, run, report metrics, and end.

Results, progress, and the state of a strategy are all derived from a job's events, which are in the
ledger. A resumed run therefore continues like one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudtune.study.search_space import Value

TrialState = Literal[
    "pending", "waiting", "running", "completed", "stopped_early", "failed", "cancelled", "unknown"
]
"""A ``waiting`` trial has no running machine. A ``pending`` one waits for more of its resource."""
JobState = Literal["pending", "running", "completed", "failed", "cancelled", "unknown"]
RunJobState = JobState | Literal["refused"]
"""The state of a job in a run. A refused job was never sent."""
OPEN_JOB_STATES: frozenset[RunJobState] = frozenset(["pending", "running"])
"""The states in which a job has not ended."""
FINAL_JOB_STATES: frozenset[RunJobState] = frozenset(["completed", "failed", "cancelled"])
"""The states in which a job has ended; in ``unknown``, it may still run at its service."""
RESUMABLE_JOB_STATES: frozenset[RunJobState] = frozenset(["cancelled", *OPEN_JOB_STATES])
"""The states of a job that was interrupted, which `resume` continues."""
MEASURED_STATES: frozenset[TrialState] = frozenset(["completed", "stopped_early"])
"""The states in which a trial has ended with a result."""
COUNTED_STATES: frozenset[TrialState] = frozenset([*MEASURED_STATES, "failed"])
"""The states in which a trial has ended and counts, for example against ``max_trials``."""
FINAL_STATES: frozenset[TrialState] = frozenset([*COUNTED_STATES, "cancelled"])
"""The states in which a trial or a job has ended. Jobs do not have ``stopped_early``."""


def changed_since(changes: Iterable[Mapping[str, Any]], time: float | None) -> bool:
    """Return whether one of the changes of a job's limits came after a time."""
    return time is not None and any(change["time"] > time for change in changes)


UNKNOWN_TIME = -1.0
"""The time of an event of a run that another tool ran without recording times."""

ORIGIN = "origin"
"""The key in a trial's memory of who or what chose it."""


@dataclass(frozen=True)
class Started:
    """A trial started, or continued with more of its resource."""

    number: int
    """The trial's number, counted from 1 and never reused in a job."""
    time: float
    """Seconds since the epoch, as all times; `UNKNOWN_TIME` if an attached run has no times."""
    parameters: Mapping[str, Value]
    resource: int | None = None
    """The amount of hyperband's resource that the trial may use after this start."""
    replaces: int | None = None
    """The number of the interrupted trial that this one repeats."""
    id: str | None = None
    """The service's name for the trial or for this start of it; None if no service runs it."""
    after_step: int = 0
    """The last step that was reported before this start."""
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON data that the strategy stores with the trial."""
    checkpoint: int | None = None
    """The number of the trial whose checkpoints this one continues; None for its own."""
    memory_retries: int = 0
    """How often the trial ran out of memory before this start."""
    seed: int | None = None
    """The seed of a confirming trial; None for the seed that all trials of a search share."""
    proposal: str | None = None
    """The id of the proposal that it runs; None if the strategy has suggested it."""
    why: str = ""
    """Why it was proposed, in the words of who did."""

    @property
    def checkpoint_number(self) -> int:
        """The number that names the folder of checkpoints.

        A trial that repeats an interrupted or lost one has the same folder as that one, and so have
        all repeats of repeats.
        """
        return self.number if self.checkpoint is None else self.checkpoint


@dataclass(frozen=True)
class Waiting:
    """A trial that started waits at its service: for a machine, or for a quota.

    It has been waiting since its start, or since the machine of a running trial was taken away.
    """

    number: int
    time: float
    """When that became known; or when the running trial lost its machine."""
    reason: str
    """What it waits for, in the service's words."""


@dataclass(frozen=True)
class Running:
    """The machine of a trial runs, so that its time counts.

    Recorded once for each start at a service, and again after each `Waiting`. A trial on this
    machine runs from its start.
    """

    number: int
    time: float
    """Since when it runs, as the service reports it; or when that was first seen."""


@dataclass(frozen=True)
class Measured:
    """A trial reported metrics."""

    number: int
    time: float
    step: int
    metrics: Mapping[str, float]
    """Values by metric name. They may be NaN or infinite."""


@dataclass(frozen=True)
class Carryover(Measured):
    """A measurement of the trial that this one repeats, which continues after it."""


@dataclass(frozen=True)
class Ended:
    """A trial ended or, if its state is ``pending``, waits for more of its resource."""

    number: int
    time: float
    state: TrialState
    reason: str = ""
    """Why the trial ended; of one that completed, why its metrics may be wrong."""
    exit_code: int | None = None
    log_tail: str = ""
    """The last lines of the log of a trial that failed or has no metrics."""
    word: str | None = None
    """The service's name for the state."""
    log: str | None = None
    """The path or address of the log."""
    artifacts: str | None = None
    """The path or address of the output files."""
    billed_seconds: float | None = None
    """The seconds that the service bills for this start, or the most that it can bill; None if it
    does not report them."""
    machine: str | None = None
    """The service's name for the machine."""
    seconds: float | None = None
    """The duration of this start by a monotonic clock; None if unknown."""
    lost: bool = False
    """Whether the trial is ``cancelled`` because its service lost it, as with a failed node, or
    ``pending`` because it got no machine."""
    out_of_memory: bool = False
    """Whether this start ended because it ran out of memory."""
    billed_at_least: float | None = None
    """The fewest seconds that the service can bill, if it reports only bounds."""


@dataclass(frozen=True)
class HostFailure(Ended):
    """The end of a trial for a reason of this machine, such as a full disk; never recorded as such.

    The driver records the trial as ``cancelled``, starts no more trials, and fails the job, so that
    `resume` tries the trial again.
    """


@dataclass(frozen=True)
class Stopped(Ended):
    """The end of a trial that a request to stop had reached before; never recorded as such.

    Any other trial has ended by itself, also if its stop was requested meanwhile.
    """


SearchEvent = Started | Measured | Ended
"""The events on which the choice of trials depends."""
Observation = Waiting | Running | Measured | Ended
"""What is observed of a trial after its start."""
Event = SearchEvent | Waiting | Running

EVENT_TYPES: Mapping[str, type[Event]] = {
    "started": Started,
    "waiting": Waiting,
    "running": Running,
    "measured": Measured,
    "carryover": Carryover,
    "ended": Ended,
}


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    state: RunJobState
    reason: str
    """Why it ended, in words; empty if it just completed."""
    failure: Ended | None = field(default=None, compare=False)
    """The end of the failed trial that shows why; None if there is no such trial."""
    ended: float | None = field(default=None, compare=False)
    """When the job ended by the service's clock; None if it has just ended."""
