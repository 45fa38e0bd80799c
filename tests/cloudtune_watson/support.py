"""Plans for IBM Watson without the rest of cloudtune around them: what the pure half makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudtune.capabilities import Finding, Mode, Note
from cloudtune.cost import of_the_budget
from cloudtune.fit import Fitted, fit
from cloudtune.needs import of_this_machine
from cloudtune.planning import source_folder
from cloudtune.provider import Facts
from cloudtune.study import Study
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.lookup import lookup
from cloudtune_watson.request import request
from cloudtune_watson.rules import rules
from cloudtune_watson.settings import MODES, WatsonSettings

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "wml": {
        "backend": "wml",
        "url": "https://cpd.example.com",
        "version": "5.1",
        "username": "me",
        "space_id": "my-space",
        "hardware_spec": "M",
        "software_spec": "tensorflow_rt24.1-py3.11",
    },
    "wmla": {
        "backend": "wmla",
        "url": "https://wmla-console.example.com",
        "version": "4.6",
        "username": "me",
        "exec_start": "PyTorch",
    },
}
"""All that a job needs, by back end."""
PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize", "select": "best"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 20, "parallel_trials": 2},
    "trial": {"script": "train.py"},
}
"""A study of which nothing is lost on either back end."""


@dataclass(frozen=True)
class Planned:
    """What was found and made."""

    fitted: Fitted
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


def study_of(base: str, over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it; a setting that is None is left out.

    Args:
        base: The back end whose settings are taken.
        over: Put over the study.
        settings: Put over the settings.
    """
    own = {**SETTINGS[base], **settings}
    given = {key: value for key, value in own.items() if value is not None}
    return Study.model_validate({**PLAIN, **over, "providers": {"watson": given}})


def plan_of(
    study: Study, base: Path, mode: Mode | None = None, *, emulated: bool = False
) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``.

    Without a mode it is the one that the back end has.
    """
    settings = WatsonSettings.model_validate(study.providers["watson"])
    mode = mode or MODES[settings.backend or "wmla"]
    facts = Facts(
        run_id="3f6k2m9qxt",
        job_name=f"{study.name or 'study'}-3f6k2m9qxt",
        seed=study.strategy.seed or 11,
        base=base,
        source=source_folder(study, "watson", base),
        emulated=emulated,
    )
    facts = replace(facts, own=lookup(study, settings, facts))
    fitted = fit(study, CAPABILITIES, mode)
    found = [
        *of_this_machine(study, "watson", facts),
        *of_the_budget(fitted.study.limits, "watson", mode, facts),
        *rules(fitted, mode, settings, facts),
    ]
    return Planned(
        fitted,
        facts,
        [*fitted.findings, *fitted.notes, *found],
        request(fitted, mode, settings, facts),
    )
