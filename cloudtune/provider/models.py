"""The data that providers receive and return."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.launcher.memory import OUT_OF_MEMORY
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.results.events import FINAL_STATES, Ended, JobState, Measured, Started, TrialState
from cloudtune.results.model import Measurement
from cloudtune.results.run_time import RunTime
from cloudtune.study.schema import Json


@dataclass(frozen=True)
class JobRef:
    """A job at a provider, as stored in the ledger."""

    provider: str
    id: str
    """The service's name of the job."""


@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """A managed job that was started elsewhere, as the service describes it."""

    ref: JobRef
    address: str
    """What names the job for everyone, such as an ARN."""
    document: Json | None
    """The description, which the provider's format of the same name reads: JSON data. None if the
    service does not return the search space."""
    job_name: str
    """The name under which it was submitted."""
    run: str | None = None
    """The ID of the run of cloudtune that submitted it, if one did."""
    created: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the description adds to `Lookup.data`."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """The state of one training job, as the service reports it."""

    state: TrialState
    """``waiting`` until the machine of the job runs, and again after it was taken away.
    ``unknown`` with a time in `ended` means that the job ended with an unknown result."""
    word: str
    """The service's own word for the state."""
    stopping: bool = False
    """Whether the job was asked to end and still runs."""
    measurements: Sequence[Measurement] = ()
    """All measurements so far, in an order that later calls only append to."""
    started: float | None = None
    """Since when the machine of the job runs, if the service reports it: not when the job was
    accepted."""
    ended: float | None = None
    reason: str = ""
    """Why the job failed or was stopped, or what it waits for; of one that completed, only why its
    metrics may be wrong, which is shown as a warning."""
    billed_seconds: float | None = None
    """What the service bills, or the most that it can bill if it reports only bounds."""
    billed_at_least: float | None = None
    """The fewest seconds that it can bill, if it reports only bounds."""
    machine: str | None = None
    log: str | None = None
    artifacts: str | None = None
    lost: bool = False
    """Whether the service ended the job through no fault of the script, as after the failure or the
    preemption of a node: in driven mode, the trial is repeated with its checkpoints."""
    no_machine: bool = False
    """Whether the job ended because the service had no machine for it, so that its script never
    ran: in driven mode, another job of the trial is created after a pause."""
    out_of_memory: bool = False
    """Whether the service reports that the job ran out of memory. A reason that begins with
    `OUT_OF_MEMORY`, as the launcher writes it, says the same of the script."""

    @property
    def over(self) -> bool:
        """Whether the job has ended, so that its state is final."""
        return self.state in FINAL_STATES or (self.state == "unknown" and self.ended is not None)

    def end_event(self, number: int) -> Ended:
        """Return the end of the trial with this number, whose job is over."""
        return Ended(
            number,
            self.ended or time.time(),
            "cancelled" if self.lost or self.no_machine else self.state,
            self.reason,
            word=self.word,
            log=self.log,
            artifacts=self.artifacts,
            billed_seconds=0.0 if self.no_machine else self.billed_seconds,
            billed_at_least=self.billed_at_least,
            machine=self.machine,
            lost=self.lost or self.no_machine,
            out_of_memory=self.out_of_memory or str(self.reason).startswith(OUT_OF_MEMORY),
        )


@dataclass(frozen=True, kw_only=True)
class RawTrial(TrainingJob):
    """A trial as a managed service reports it, with parameters in the service's own values."""

    number: int
    """The position in the order in which the service created the trials, from 1."""
    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    created: float | None = None
    """When the service created the trial, if it reports it."""
    resource: int | None = None
    """How much of hyperband's named resource it had, if the service's trials differ in it."""


@dataclass(frozen=True)
class JobStatus:
    """The state of a managed job."""

    state: JobState
    word: str
    """The service's own word for the state."""
    reason: str = ""
    trials: Sequence[RawTrial] = ()
    remark: str = ""
    """What is missing in this status, and why; shown to the user once."""
    created: float | None = None
    """When the job was created, in epoch seconds: the study's timeout counts from here."""
    ended: float | None = None
    """When the job ended, if it has ended and the service reports it."""


@dataclass(frozen=True)
class Interrupted:
    """A trial that an earlier, killed process left running."""

    started: Started
    """The last start of the trial."""
    measured: int
    """The number of known measurements of that start."""
    measured_before: int
    """The number of known measurements of earlier starts."""
    time: RunTime | None = None
    """How long that start has waited and run, as far as known."""


@dataclass(frozen=True)
class Recovered:
    """What became of the trials that an earlier, killed process left running."""

    measured: Sequence[Measured] = ()
    """Measurements that are not in the ledger yet, in order."""
    running: Set[int] = frozenset()
    """The numbers of the trials that still run; the runner reports their `Ended`."""


@dataclass(frozen=True)
class Emulator:
    """A service's emulator on this machine."""

    url: str
    key: str
    """The key that every request must contain."""
    certificate: Path | None = None
    """The certificate that clients trust, if the emulator uses HTTPS."""
    folder: Path | None = None
    """The folder with its files; None if cloudtune did not start it."""

    @property
    def location(self) -> str:
        """Its folder, or else its URL."""
        return str(self.folder or self.url)


@dataclass(frozen=True)
class JobContext:
    """The folder and the emulator of one job."""

    folder: Path
    """The job's folder in the state folder; it exists. If code is sent, its folder ``source``
    contains a copy of the code as it was when the run began."""
    emulator: Emulator | None = None
    """If given, the only address to call; real credentials are not read."""
    is_stopping: Callable[[], bool] = bool
    """Returns whether the job is to stop, so that a call that is retried gives up soon."""

    @property
    def emulator_folder(self) -> Path:
        """The folder with the files of the job's emulator."""
        own = self.folder / EMULATOR_FOLDER
        return (self.emulator and self.emulator.folder) or own


@dataclass(frozen=True)
class Lost:
    """The end of a runner that can no longer start trials or follow running ones."""

    reason: str
    recoverable: bool
    """Whether trials may still run at the service, where a later process finds them."""
    error: Exception | None = None
    """An unexpected exception; the reason is then appended to its crash report."""
