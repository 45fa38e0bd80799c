"""Messages about a study: problems, findings and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """One mistake in a study: where it is, what is wrong and how to fix it."""

    path: str
    """The field, for example ``parameters.C.min``; empty for the whole file."""
    message: str
    hint: str = ""
    file: str | None = None
    line: int | None = None
    """Counted from 1; None for a study created in Python."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file and self.line else ""
        where = where or (f"{self.file}: " if self.file else "")
        field = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        if self.hint and self.message.endswith(")"):
            hint = f"; {self.hint}"
        return f"{where}{field}{self.message}{hint}"


Severity = Literal["note", "warning"]
FindingKind = Literal["refused", "approximated", "dropped"]


@dataclass(frozen=True)
class Finding:
    """One place where a study does not fit a provider."""

    kind: FindingKind
    path: str
    """The field of the study, for example ``parameters.C.step``."""
    reason: str
    """What does not fit, what happens instead, and what would fit."""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}: {self.reason}"


@dataclass(frozen=True)
class Note:
    """Information that changes nothing: a choice of cloudtune or a likely mistake.

    `run` prints only warnings: likely mistakes, and what needs disk space, time, or money.
    """

    path: str
    text: str
    severity: Severity = "note"

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


CheckSeverity = Literal["ok", "warning", "error", "unknown"]
CheckArea = Literal["study", "script", "account", "bundle"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One result of `cloudtune doctor`: what was checked, what was seen, and what to change."""

    severity: CheckSeverity
    """``unknown`` if it cannot be checked here, for example because the caller lacks a right."""
    area: CheckArea
    id: str
    """A stable name for scripts and CI, such as ``metric-missing``."""
    message: str
    """What was seen. For ``ok``, a short phrase that fits into a list."""
    path: str = ""
    """The field of the study, for example ``trial.metrics.loss``; empty if it is not about one."""
    file: str | None = None
    """The file of the script, with `line`; None for the file and the line of `path`."""
    line: int | None = None
    fix: str = ""
    """What to change, or which right is missing."""
    command: str = ""
    """An exact command, or the smallest text of a policy; may have several lines."""
    provider: str = ""
    """Set by the doctor; empty for what is alike on all providers."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file and self.line else ""
        where = where or (f"{self.file}: " if self.file else "")
        field = f"{self.path}: " if self.path else ""
        return f"{where}{field}{self.message}"
