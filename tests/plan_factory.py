"""Plans by one provider's pure half, without the rest of cloudtune around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudtune.bundle.files import list_files
from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy, fit
from cloudtune.planning.planner import source_folder
from cloudtune.planning.preflight import check_lookup
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.cost import check_budget
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 20, "parallel_trials": 2},
    "trial": {"script": "train.py"},
}
"""A study of which nothing is lost on any service."""


def study_with(
    provider: str,
    settings: Mapping[str, Any],
    over: Mapping[str, Any],
    plain: Mapping[str, Any] = PLAIN,
) -> Study:
    """Return a plain study with something put over it; a setting that is None is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    return Study.model_validate({**plain, **over, "providers": {provider: given}})


@dataclass(frozen=True)
class Planned:
    """What was found and made."""

    fitted: FittedStudy
    facts: Facts
    found: Sequence[Finding | Note]
    """By fit, then by the rules."""
    request: dict[str, Any]

    @property
    def findings(self) -> list[Finding]:
        return [item for item in self.found if isinstance(item, Finding)]

    @property
    def refused(self) -> bool:
        return any(finding.kind == "refused" for finding in self.findings)

    def at(self, path: str) -> list[str]:
        """Return the kinds of what was found at a path."""
        return [
            item.kind if isinstance(item, Finding) else "note"
            for item in self.found
            if item.path == path
        ]

    def said(self, path: str) -> str:
        """Return the words at a path."""
        return " ".join(
            item.reason if isinstance(item, Finding) else item.text
            for item in self.found
            if item.path == path
        )


def planned(
    provider: BaseProvider[Any],
    study: Study,
    base: Path,
    mode: Mode,
    *,
    emulated: bool = False,
    parent_jobs: Sequence[str] = (),
) -> Planned:
    """Return what a provider makes of a study whose folder is ``base``."""
    on = provider.capabilities.provider
    settings = provider.settings.model_validate(study.providers[on])
    source = source_folder(study, on, base)
    facts = Facts(
        run_id="3f6k2m9qxt",
        job_name=f"{study.name or 'study'}-3f6k2m9qxt",
        seed=11 if study.strategy.seed is None else study.strategy.seed,
        base=base,
        source=source,
        files=tuple(list_files(source)) if source else None,
        parent_jobs=parent_jobs,
        emulated=emulated,
    )
    facts = replace(facts, lookup=provider.lookup(study, settings, facts))
    fitted = fit(study, provider.capabilities, mode)
    found = [
        *fitted.findings,
        *fitted.notes,
        *check_lookup(study, on, facts),
        *check_budget(fitted.study.limits, on, mode, facts),
        *provider.rules(fitted, mode, settings, facts),
    ]
    return Planned(fitted, facts, found, provider.request(fitted, mode, settings, facts))
