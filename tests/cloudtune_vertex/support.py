"""Plans for Vertex AI without the rest of cloudtune around them: what the pure half makes."""

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
from cloudtune_vertex.capabilities import CAPABILITIES
from cloudtune_vertex.lookup import lookup
from cloudtune_vertex.request import request
from cloudtune_vertex.rules import rules
from cloudtune_vertex.settings import VertexSettings

PREBUILT = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
OWN_IMAGE = "us-central1-docker.pkg.dev/my-project/images/train:1"
SETTINGS: Mapping[str, Any] = {
    "project": "my-project",
    "location": "us-central1",
    "bucket": "my-bucket",
    "image": PREBUILT,
    "machine_type": "n1-standard-4",
}
"""All that a job needs."""
PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "limits": {
        "max_trials": 20,
        "parallel_trials": 2,
        "trial_timeout": "10m",
        "max_failed_trials": 3,
    },
    "trial": {"script": "train.py"},
}
"""A study to which Vertex AI has nothing to say."""


@dataclass(frozen=True)
class Planned:
    """What was found and made."""

    fitted: Fitted
    facts: Facts
    found: Sequence[Finding | Note]
    """By fit, then by the rules."""
    request: dict[str, Any]

    @property
    def refused(self) -> bool:
        return any(isinstance(item, Finding) and item.kind == "refused" for item in self.found)

    @property
    def job(self) -> Any:
        """The tuning job or the custom job."""
        return next(value for key, value in self.request.items() if key != "parent")

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


def study_of(over: Mapping[str, Any] = {}, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it; a setting that is None is left out."""
    own = {**SETTINGS, **settings}
    given = {key: value for key, value in own.items() if value is not None}
    return Study.model_validate({**PLAIN, **over, "providers": {"vertex": given}})


def plan_of(study: Study, base: Path, mode: Mode = "managed", *, emulated: bool = False) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    settings = VertexSettings.model_validate(study.providers["vertex"])
    facts = Facts(
        run_id="3f6k2m9qxt",
        job_name=f"{study.name or 'study'}-3f6k2m9qxt",
        seed=study.strategy.seed or 11,
        base=base,
        source=source_folder(study, "vertex", base),
        emulated=emulated,
    )
    facts = replace(facts, own=lookup(study, settings, facts))
    fitted = fit(study, CAPABILITIES, mode)
    found = of_this_machine(study, "vertex", facts)
    found += of_the_budget(fitted.study.limits, "vertex", mode, facts)
    found += rules(fitted, mode, settings, facts)
    return Planned(
        fitted,
        facts,
        [*fitted.findings, *fitted.notes, *found],
        request(fitted, mode, settings, facts),
    )
