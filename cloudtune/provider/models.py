"""The data that a provider takes and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloudtune.results.events import FINAL_STATES, JobState, Measured, Started, TrialState
from cloudtune.results.model import Measurement
from cloudtune.study.schema import Limits


class ProviderSettings(BaseModel):
    """What stands under ``providers.<name>`` for every provider; each adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["auto", "managed", "driven"] = Field(
        "auto", description="Whose tuner chooses the trials."
    )
    limits: Limits | None = Field(None, description="Limits for this provider alone.")


class CloudSettings(ProviderSettings):
    """What stands under ``providers.<name>`` for every provider that sends a request."""

    native: dict[str, Any] = Field(
        default={}, description="Put over the request that is sent, in the service's own spelling."
    )


@dataclass(frozen=True)
class JobRef:
    """A job at a provider, as the ledger keeps it."""

    provider: str
    id: str
    """What the service calls the job."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """How one training job stands, as its service tells it."""

    state: TrialState
    """With ``ended`` given, ``unknown`` says that it is over and nobody knows how."""
    word: str
    """The service's own word for the state."""
    stopping: bool = False
    """Whether it was asked to end and has not yet."""
    measurements: Sequence[Measurement] = ()
    """All that are known so far, in an order that stays as it is when there are more."""
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    """Why it failed or was stopped."""
    billed_seconds: float | None = None
    machine: str | None = None
    """What it runs on, as the service calls it."""
    log: str | None = None
    """Where people read what it printed."""
    artifacts: str | None = None
    """Where what it produced is."""

    @property
    def over(self) -> bool:
        """Whether nothing more will be known of it."""
        return self.state in FINAL_STATES or (self.state == "unknown" and self.ended is not None)


@dataclass(frozen=True, kw_only=True)
class RawTrial(TrainingJob):
    """A trial as a managed service tells it: its parameters in the service's own values."""

    number: int
    """Counted from 1 in the order in which the service made them."""
    id: str
    """What the service calls it."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class JobStatus:
    """How a managed job stands."""

    state: JobState
    word: str
    """The service's own word for the state."""
    reason: str = ""
    trials: Sequence[RawTrial] = ()
    """Every trial that the service tells of, values as it spells them."""
    remark: str = ""
    """What is missing in this, and why, if it is worth a line; told once."""


@dataclass(frozen=True)
class Interrupted:
    """A trial that an earlier, killed process left running."""

    started: Started
    """Its last start."""
    measured: int
    """How many measurements of that start are known."""
    measured_before: int
    """How many measurements of its earlier starts are known."""


@dataclass(frozen=True)
class Recovered:
    """What became of the trials that an earlier, killed process left running."""

    measured: Sequence[Measured] = ()
    """What they reported that nobody took note of, in order."""
    running: Set[int] = frozenset()
    """Those that go on: they are followed to their `Ended` as after a start."""


@dataclass(frozen=True)
class Emulator:
    """A service's emulator on this machine."""

    url: str
    key: str
    """What every request to it must show."""
    certificate: Path | None = None
    """What its clients trust, where it speaks HTTPS."""


@dataclass(frozen=True)
class JobContext:
    """Where one job is at home."""

    folder: Path
    """The job's own folder in the state folder; exists. Where code is sent, a copy of it as it was
    when the run began is in its folder ``source``."""
    emulator: Emulator | None = None
    """Where it is given, nothing else is reached, and no real credential is read."""


@dataclass(frozen=True)
class Lost:
    """A runner can neither start trials nor follow those that run any more."""

    reason: str
    recoverable: bool
    """Whether trials may go on at the service; a later process then finds them again."""
    error: Exception | None = None
    """What nobody foresaw; the reason is what stands behind it then."""
