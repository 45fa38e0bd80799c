"""Plans for SageMaker without the rest of cloudtune around them: what the pure half makes."""

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
from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.lookup import lookup
from cloudtune_sagemaker.request import request
from cloudtune_sagemaker.rules import rules
from cloudtune_sagemaker.settings import SageMakerSettings

ROLE = "arn:aws:iam::123456789012:role/tuning"
SETTINGS: Mapping[str, Any] = {
    "region": "us-east-1",
    "role_arn": ROLE,
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "instance_type": "ml.m5.large",
}
"""All that a job needs."""
PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "limits": {"max_trials": 20, "parallel_trials": 2, "trial_timeout": "10m"},
    "trial": {"script": "train.py"},
}
"""A study to which SageMaker has nothing to say."""


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
    return Study.model_validate({**PLAIN, **over, "providers": {"sagemaker": given}})


def plan_of(
    study: Study,
    base: Path,
    mode: Mode = "managed",
    *,
    emulated: bool = False,
    parent_jobs: Sequence[str] = (),
) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    settings = SageMakerSettings.model_validate(study.providers["sagemaker"])
    facts = Facts(
        run_id="3f6k2m9qxt",
        job_name=f"{study.name or 'study'}-3f6k2m9qxt",
        seed=study.strategy.seed or 11,
        base=base,
        source=source_folder(study, "sagemaker", base),
        parent_jobs=parent_jobs,
        emulated=emulated,
    )
    facts = replace(facts, own=lookup(study, settings, facts))
    fitted = fit(study, CAPABILITIES, mode)
    found = of_this_machine(study, "sagemaker", facts)
    found += of_the_budget(fitted.study.limits, "sagemaker", mode, facts)
    found += rules(fitted, mode, settings, facts)
    return Planned(
        fitted,
        facts,
        [*fitted.findings, *fitted.notes, *found],
        request(fitted, mode, settings, facts),
    )
