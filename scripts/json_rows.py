"""The types of the JSON rows that commands build themselves; tests compare them with the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from cloudtune.diagnostics import Finding, Note
from cloudtune.results.model import Trial
from cloudtune.study.schema import Json


@dataclass
class Started:
    """A run that continues in the background, with ``--detach``."""

    run: str
    """Its id."""


@dataclass
class StatusJob:
    """The state of one job of a run."""

    provider: str
    mode: str
    emulated: bool
    state: str
    reason: str
    """Why it ended, unless it just completed."""
    trials: dict[str, int]
    """The number of trials in each state."""
    best: list[float] | None
    """The value of each objective of the best trial, by the confirmations if they have decided."""
    decision: str
    """What the confirmations say about the best trial, in words; empty if they say nothing."""
    waiting: list[Any]
    """The trials that wait for a machine, and for what."""
    proposals: int
    """How many proposals have not started."""
    misread: str
    """How many completed trials measured no objective, in words; empty if none."""


@dataclass
class StatusRow:
    """The state of one run."""

    run: str
    name: str
    created: float | None
    """Seconds since the epoch."""
    on: str
    """The providers, separated by commas."""
    state: str
    trials: dict[str, int]
    """The number of trials in each state."""
    best: Any
    """The value of the best trial of all jobs; null with several objectives or without a value."""
    jobs: list[StatusJob]


@dataclass
class CheckRow:
    """A mistake in a study, or with `provider` and `kind`, what does not fit that provider."""

    path: str
    """The field, for example ``parameters.C.min``."""
    message: str
    hint: str
    """What to do; empty if the message says it."""
    file: str | None
    line: int | None
    provider: str | None = None
    kind: str | None = None
    """``refused``, ``approximated`` or ``dropped``."""


@dataclass
class File:
    """A file that is sent."""

    name: str
    bytes: int


@dataclass
class PlanRow:
    """The plan of one job. A list with one plan can be run: ``cloudtune run plan.json``."""

    format: str
    provider: str
    mode: str
    run: str
    """The id that the run will have."""
    study: Json
    """The study, as in its file."""
    file: str | None
    facts: Json
    """What was looked up and computed, such as the hash of the source."""
    request: Any
    """What is sent to the service, in the service's own form."""
    findings: list[Finding]
    notes: list[Note]
    unattended: bool
    """Whether the job continues while this machine is off."""
    estimate: Json | None
    """The cost, if the prices are known."""
    broken: str | None = None
    """Why it cannot be planned."""
    verdict: str | None = None
    """Whether the provider can run it, in words. Not with ``check``."""
    forecast: Json | None = None
    """The time that it may take. Not with ``check``."""
    outline: Json | None = None
    """What it uses and creates, in words. Not with ``check``."""
    files: list[File] | None = None
    """With ``--files``."""


@dataclass
class Proposed:
    """A proposal, and its trial if it has started or was measured before."""

    run: str
    provider: str
    proposal: str
    """Its id."""
    trial: Trial | None


@dataclass
class ChangedLimits:
    """The limits of a run that were changed."""

    run: str
    fields: dict[str, list[Any]]
    """The old and the new value of each."""
    running: bool


@dataclass
class FetchedFiles:
    """What was copied of a trial."""

    run: str
    provider: str
    trial: int
    folder: str
    files: dict[str, int]
    """The size of each file in bytes."""
    missing: list[str]
    """What could not be copied, and why."""


@dataclass
class ImportedStudy:
    """A study that was read."""

    name: str | None
    study: Json


@dataclass
class ImportFinding:
    """What the study cannot express, or a note."""

    kind: str
    path: str
    text: str


@dataclass
class ImportedFile:
    """What was read from a file of another tool."""

    format: str
    studies: list[ImportedStudy]
    findings: list[ImportFinding]


@dataclass
class ProviderRow:
    """A provider in one mode."""

    provider: str
    mode: str
    strategies: str
    parameters: str
    conditions: bool
    early_stopping: Annotated[str, Field(serialization_alias="early stopping")]
    most_trials: Annotated[int | None, Field(serialization_alias="most trials")]
    verified: str
    missing: str | None
    """The extra to install."""


@dataclass
class PolicyRow:
    """Rights that a run needs, with ``--policy``."""

    provider: str
    title: str
    text: str
    commands: list[str]
