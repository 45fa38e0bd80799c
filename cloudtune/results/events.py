"""What happens to the trials of a job, as the ledger keeps it and as everything else reads it.

The list of a job's events is its whole truth: results, progress and the memory of a strategy are
folds over it, so that a resumed run knows what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudtune.study.search_space import Value

TrialState = Literal[
    "pending", "running", "completed", "stopped_early", "failed", "cancelled", "unknown"
]
JobState = Literal["pending", "running", "completed", "failed", "cancelled", "unknown"]
RunJobState = JobState | Literal["refused"]
"""The state of a job in a run. A refused job was never sent."""
FINAL_STATES: frozenset[TrialState] = frozenset(
    ["completed", "stopped_early", "failed", "cancelled"]
)
"""The states in which a trial or a job has ended. Jobs do not have ``stopped_early``."""


@dataclass(frozen=True)
class Started:
    """A trial was started, or taken up again with more of its resource."""

    number: int
    """Counted from 1 and never used twice in a job."""
    time: float
    """Seconds since the epoch; so are the other times."""
    parameters: Mapping[str, Value]
    resource: int | None = None
    """How much of hyperband's named resource this start may use."""
    replaces: int | None = None
    """The interrupted trial whose parameters are asked again."""
    id: str | None = None
    """What the service calls the trial, or this start of it, where a service runs it."""
    after_step: int = 0
    """The last step that its earlier starts reported."""
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the strategy wants to be reminded of with this trial; JSON data."""


@dataclass(frozen=True)
class Measured:
    """A trial reported metrics."""

    number: int
    time: float
    step: int
    metrics: Mapping[str, float]
    """By name; values may be nan or infinite."""


@dataclass(frozen=True)
class Ended:
    """A trial came to an end, or (``pending``) waits for more of its resource."""

    number: int
    time: float
    state: TrialState
    reason: str = ""
    """Why, where it is not plain success."""
    exit_code: int | None = None
    log_tail: str = ""
    """The last lines that a failed trial printed."""
    word: str | None = None
    """The service's own word for the state."""
    log: str | None = None
    """Where what it printed is."""
    artifacts: str | None = None
    """Where what it produced is."""
    billed_seconds: float | None = None
    """What the service counts for this start, where it says so."""
    machine: str | None = None
    """What it ran on, as the service calls it."""
    seconds: float | None = None
    """How long this start took by a clock that nobody can set; None where that is not known."""


Event = Started | Measured | Ended

EVENT_TYPES: Mapping[str, type[Started] | type[Measured] | type[Ended]] = {
    "started": Started,
    "measured": Measured,
    "ended": Ended,
}


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    state: RunJobState
    reason: str
    """Why, in words; empty for plain success."""
