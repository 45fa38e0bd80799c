"""What a reader of another tool's finished runs is: it recognizes files, and returns trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.diagnostics import Finding, Note
from cloudtune.results.events import JobState
from cloudtune.study.schema import Goal

if TYPE_CHECKING:
    from cloudtune.results.model import Trial
    from cloudtune.study.study import Study


DERIVED = "parameters"
"""The path of the finding that the bounds of parameters are those of the values in trials."""


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """What the user says about a run of another tool. All of it may be absent."""

    name: str | None = None
    """The study, sweep or parent run, of a location with several."""
    metric: str | None = None
    """The objective, if the tool does not store it."""
    goal: Goal | None = None
    """Whether to maximize or to minimize it."""
    parameters: tuple[str, ...] = ()
    """The columns that are parameters, of a table that does not say so."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run of another tool: its study and its trials. Unknown values are None or empty."""

    study: Study
    """The study, rebuilt from what the tool has stored."""
    trials: Iterable[Trial]
    """The trials with numbers from 1; their parameters have the types of the study.

    Each iteration reads them anew, one at a time, so that many trials need little memory.

    Each needs its ``id``, ``number``, ``state``, ``parameters`` and ``measurements``. A trial
    without a curve has one measurement. The other fields are kept if they are known, except
    ``objective`` and ``metrics``, which follow from the measurements.
    """
    job: str
    """The tool's name for the run, such as that of an Optuna study."""
    address: str
    """The address of the run, with an absolute path; the same each time that the run is read."""
    findings: Sequence[Finding | Note] = ()
    """What the study cannot hold, or holds differently, such as trials with invalid values."""
    state: JobState = "completed"
    reason: str = ""
    """Why the run ended, unless it just completed."""
    started: float | None = None
    ended: float | None = None
    link: str | None = None
    """The address of the run's page."""
    emulated: bool = False
    """Whether its trials ran on an emulator, as cloudtune's exports say."""


class RunReader(ABC):
    """Reads the finished runs of one tool."""

    name: str
    """The tool, as in ``cloudtune attach NAME:LOCATION``; the provider of the run's job."""
    title: str
    """What a location is, such as ``an Optuna storage``."""
    source: str
    """The documentation that the reader follows, with its date."""
    packages: Sequence[str] = ()
    """The modules that reading imports."""

    def matches(self, path: Path) -> bool:  # noqa: ARG002
        """Return whether a file or folder is a run of this tool; cheap, and imports no tool."""
        return False

    @abstractmethod
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        """Return the run at a location, which is a path or what the user typed after ``NAME:``.

        Raises:
            UsageError: If there is no run, or there are several; the message names them.
            StudyError: If the stored data has mistakes.
            ConversionError: If a study cannot hold the search space.
            MissingExtraError: If a package that reads it is not installed.
        """
