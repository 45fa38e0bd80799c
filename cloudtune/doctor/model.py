"""What the doctor returns."""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.common.display import Displayable
from cloudtune.diagnostics import Check


@dataclass(frozen=True, repr=False)
class Diagnosis(Displayable):
    """The results of the doctor's checks."""

    checks: tuple[Check, ...]
    """By provider, in the order study, script, account, bundle."""

    @property
    def has_errors(self) -> bool:
        """Whether a run would fail, or give wrong results."""
        return any(check.severity == "error" for check in self.checks)
