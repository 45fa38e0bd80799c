"""A plan: what a run would send to one provider, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cloudtune.common.display import Displayable
from cloudtune.errors import ProviderError, UnsupportedError
from cloudtune.provider.settings import CloudSettings, ProviderSettings

if TYPE_CHECKING:
    from cloudtune.diagnostics import Finding, Note
    from cloudtune.fitting.fit import FittedStudy
    from cloudtune.provider.cost import Estimate
    from cloudtune.provider.facts import Facts
    from cloudtune.provider.models import JobContext
    from cloudtune.study.schema import Json, Mode
    from cloudtune.study.study import Study

Verdict = Literal["can run", "can run with changes", "refused", "cannot be planned"]


@dataclass(frozen=True, repr=False)
class Plan(Displayable):
    """What a run would send to one provider, and what the provider cannot express."""

    provider: str
    mode: Mode
    fitted: FittedStudy
    settings: ProviderSettings
    facts: Facts
    request: Json
    """The service's request in its own spelling."""
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    unattended: bool
    """Whether the job continues when this machine is switched off."""
    seed: int | None = None
    """The seed of the search; None if the provider does not support seeds."""
    estimate: Estimate | None = None
    """What the job may cost; None if the price is unknown or the job is emulated."""
    broken: str = ""
    """Why planning failed, if the provider's code has a mistake; there is no request then."""

    @property
    def study(self) -> Study:
        """The study as the user wrote it."""
        return self.fitted.original

    @property
    def price_per_second(self) -> float | None:
        """The price of a second of a trial, 0 where nothing is charged; None if it is unknown."""
        if self.facts.price and not self.facts.emulated:
            return self.facts.price.per_second
        is_free = self.facts.emulated or not isinstance(self.settings, CloudSettings)
        return 0.0 if is_free else None

    @property
    def local_python(self) -> str | None:
        """The Python of trials on this machine; None if a service or its emulator runs them."""
        python = self.request.get("python")
        is_local = not isinstance(self.settings, CloudSettings)
        return python if is_local and isinstance(python, str) else None

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The findings because of which the provider cannot run the study."""
        return tuple(finding for finding in self.findings if finding.kind == "refused")

    @property
    def verdict(self) -> Verdict:
        """Whether the provider can run the study."""
        if self.broken:
            return "cannot be planned"
        if self.refused:
            return "refused"
        return "can run with changes" if self.findings else "can run"

    def require(self, *, strict: bool = False) -> None:
        """Check that the plan can run.

        Raises:
            UnsupportedError: If a finding refuses the study, or with ``strict`` if there is any
                finding.
            ProviderError: If planning failed because of a mistake in the provider's code.
        """
        if self.broken:
            raise ProviderError(self.provider, self.broken)
        findings = self.findings if strict else self.refused
        if findings:
            locations = [self.study.location(finding.path) for finding in findings]
            prefixes = [f"{file}:{line}: " if file and line else "" for file, line in locations]
            raise UnsupportedError(self.provider, findings, prefixes)

    def check_context(self, context: JobContext) -> None:
        """Check that an emulated plan, and no other plan, runs on an emulator.

        Raises:
            ProviderError: If that is not the case.
        """
        if self.facts.emulated != (context.emulator is not None):
            message = "an emulated plan runs only on its emulator, and no other plan runs there"
            raise ProviderError(self.provider, message)

    def to_json(self) -> Json:
        """Return the plan as JSON data, without secrets; `restore_plan` reads it."""
        from cloudtune.provider.stored_plan import FORMAT, facts_to_json

        return {
            "format": FORMAT,
            "provider": self.provider,
            "mode": self.mode,
            "run": self.facts.run_id,
            "study": self.study.to_json(),
            "file": str(Path(self.study.file).absolute()) if self.study.file else None,
            "facts": facts_to_json(self.facts),
            "request": self.request,
            "findings": [vars(finding) for finding in self.findings],
            "notes": [vars(note) for note in self.notes],
            "unattended": self.unattended,
            "estimate": self.estimate and self.estimate.to_json(),
            **({"broken": self.broken} if self.broken else {}),
        }
