"""Facts: what a plan needs to know from outside the study, collected before planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.study.confirmation import Confirmation
from cloudtune.study.schema import Mode
from cloudtune.study.search_space import Value


@dataclass(frozen=True)
class Parent:
    """A finished trial of an earlier run that a warm start builds on."""

    parameters: Mapping[str, Value]
    objective: tuple[float, ...]
    """One value for each objective of the study that is planned."""
    source: str = ""
    """The earlier run or file, as the study names it."""


@dataclass(frozen=True)
class Price:
    """The price of one running trial."""

    per_second: float
    currency: str
    source: str
    """Where the price comes from, and its date."""
    idle_seconds: float = 0.0
    """Seconds for which the machine of a trial is billed after it, unless another trial takes it
    over; only in driven mode."""
    min_seconds: float = 0.0
    """Seconds for which each start of a trial is billed at least."""

    @classmethod
    def hourly(
        cls, amount: float, currency: str, source: str, *, min_seconds: float = 0.0
    ) -> Price:
        """Return the price of a trial that costs ``amount`` an hour."""
        return cls(amount / 3600, currency, source, min_seconds=min_seconds)

    @property
    def hour(self) -> float:
        """The price of one hour."""
        return self.per_second * 3600


@dataclass(frozen=True)
class ServiceLimits:
    """Limits on trials that the service itself enforces."""

    longest_trial: float | None = None
    """Seconds after which the service ends a trial that has no ``trial_timeout``."""
    timeout_ends_trials: tuple[Mode, ...] = ()
    """The modes in which the service ends running trials at the study's ``timeout``."""
    set_by_native: bool = False
    """Whether ``native`` sets limits, so that the study's own do not bound the job."""
    grace_seconds: float = 0.0
    """Seconds for which a trial that has reached its limit may still run, and is billed."""
    min_timeout: float = 0.0
    """The shortest ``timeout`` of a study that the service accepts in managed mode, in seconds."""
    timeout_unit: float = 1.0
    """The seconds to a multiple of which a ``timeout`` is rounded up in managed mode."""
    uncounted: tuple[str, ...] = ()
    """What the service may bill beyond the price of running trials, in words."""


@dataclass(frozen=True)
class FolderSize:
    """How much of the source a folder contains."""

    name: str
    """Relative to the source folder, with a slash at the end; without one, the name of a file."""
    count: int
    """The number of files."""
    size: int
    """Their total size in bytes."""


@dataclass(frozen=True)
class SourceFiles:
    """The code on this machine that the study names."""

    count: int = 0
    size: int = 0
    """Their total size in bytes."""
    absent: tuple[str, ...] = ()
    """The files of the script, the module and the requirements that the source folder lacks."""
    largest: tuple[FolderSize, ...] = ()
    """The folders that contain most of a source that is large; empty for others."""
    shortage: str = ""
    """Why the copies of the source do not fit on the disk; empty if they do."""


@dataclass(frozen=True)
class Variables:
    """The environment variables that the study passes from this shell to trials."""

    unset: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The inputs of the trials, by name."""

    addresses: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Where the provider finds each input; None if the study gives no address."""
    uploads: Mapping[str, str] = field(default_factory=dict[str, str])
    """The local paths of the inputs that are uploaded to their addresses."""
    absent: tuple[str, ...] = ()
    """The inputs whose local path does not exist or has no file."""


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What a provider finds out on this machine before planning; it never calls the service."""

    price: Price | str = ""
    """The price of a trial, or the reason why it is unknown."""
    limits: ServiceLimits = ServiceLimits()
    missing_settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Required settings that the study does not give, each with what to do about it."""
    code_address: str | None = None
    """The address of code that is at the service already."""
    source: SourceFiles = SourceFiles()
    variables: Variables = Variables()
    inputs: Inputs = field(default_factory=Inputs)
    links: Mapping[Mode, str] = field(default_factory=dict[Mode, str])
    """The console pages of the job, by mode."""
    job_links: Mapping[Mode, str] = field(default_factory=dict[Mode, str])
    """Console pages that contain the job's id, written as ``{job}``; used once the id is known."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What only the provider reads, such as region, bucket and image. JSON data."""


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know from outside the study."""

    run_id: str
    job_name: str
    seed: int
    base: Path
    """The folder to which the study's relative paths refer."""
    source: Path | None = None
    """The folder that is bundled; None if no code is sent."""
    source_hash: str | None = None
    """The fingerprint of the bundled files without those of ``unhashed``."""
    unhashed: tuple[str, ...] = ()
    """The bundled files that say nothing about the code: the study's and cloudtune's outputs."""
    parents: Sequence[Parent] = ()
    """The trials of the warm start that cloudtune knows."""
    parent_jobs: Sequence[str] = ()
    """The provider's names of the jobs of the warm start."""
    parent_remarks: tuple[str, ...] = ()
    """What does not count in files of the warm start."""
    floating: tuple[str, ...] = ()
    """The required packages of which each trial may get another version."""
    locked: str = ""
    """What pip reads for the header of a script, with exact versions, which uv found for the plan;
    empty if the source has a lock."""
    unlocked: str = ""
    """Why uv has not locked the header of a script."""
    lock_unchecked: str = ""
    """Why it is unknown whether the lock is of what its project requires now."""
    lock_problem: str = ""
    """Why the requirements cannot be converted to what pip reads."""
    emulated: bool = False
    """Whether the job runs on the provider's emulator on this machine."""
    emulator: str | None = None
    """The location of an emulator that the run does not start: a folder or a URL."""
    attached: str | None = None
    """The address of a job that was started elsewhere, which is followed and never sent."""
    confirmation: Confirmation | None = None
    """What a confirming run repeats of an earlier one."""
    lookup: Lookup = field(default_factory=Lookup)
    outside_links: Mapping[str, str] = field(default_factory=dict[str, str])
    """The bundled links that point out of the source folder, with their targets."""
    credentials: tuple[str, ...] = ()
    """The bundled files that look like credentials, and that the user has not listed as wanted."""
    input_credentials: Mapping[str, str] = field(default_factory=dict[str, str])
    """The inputs that would be uploaded with a credential, and the first such file of each."""
    files: tuple[str, ...] | None = field(default=None, compare=False, repr=False)
    """The bundled files, relative to `source`; None in a plan that was read back."""

    @property
    def data(self) -> Mapping[str, Any]:
        """What only the provider reads. See `Lookup.data`."""
        return self.lookup.data

    @property
    def price(self) -> Price | None:
        """The price of a trial; None if it is unknown."""
        return None if isinstance(self.lookup.price, str) else self.lookup.price
