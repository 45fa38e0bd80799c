"""One pass over a study file that finds its mistakes and what providers make of the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.errors import CloudtuneError, StudyError
from cloudtune.formats import registry as formats
from cloudtune.planning.planner import plan_run
from cloudtune.planning.preflight import check_confirm
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.study.loader import read_parts
from cloudtune.study.schema import BoolParameter, Limits, Strategy, TrialSpec
from cloudtune.study.study import Study
from cloudtune.study.suggestions import SUGGESTION

_HERE = "local"
_BLOCKS = {
    *("objective", "parameters", "constants", "strategy", "early_stopping"),
    *("initial_trials", "warm_start"),
}
"""What is checked as a whole: with a mistake in one of them, none of its findings counts."""
_FOLLOWS = {
    "limits": ("objective", "strategy", "limits", "providers"),
    "parameters": ("parameters", "constants", "initial_trials", "strategy"),
    "initial_trials": ("parameters", "strategy"),
    "early_stopping": ("objective", "strategy"),
    "strategy": ("objective", "parameters", "initial_trials"),
    "trial.script": ("trial.source",),
    "trial.module": ("trial.source", "trial.python", "trial.env"),
    "trial.command": ("trial.source", "trial.env"),
    "trial.requirements": ("trial.source",),
    "trial.python": ("trial.source",),
    "trial.args": ("parameters", "constants", "trial.inputs"),
    "trial.metrics": ("objective",),
}
"""The fields on which findings about a field depend; findings that follow a mistake are omitted."""
_PLACEHOLDER = {"placeholder": [BoolParameter.model_construct(type="bool")]}
_EVERYWHERE = {"objective", "parameters", "trial.script", "trial.module", "trial.requirements"}
"""What any provider needs of a study."""


@dataclass
class CheckResult:
    """What is wrong with a study, as far as it can be read."""

    study: Study | None
    """The valid parts of the study; None if nothing can be read."""
    problems: list[Problem]
    """The mistakes, with those in the settings of providers."""
    plans: list[Plan] = field(default_factory=list[Plan])
    findings: dict[str, list[Finding]] = field(default_factory=dict[str, list[Finding]])
    """By provider, the findings that do not follow from a mistake."""
    notes: list[Note] = field(default_factory=list[Note])
    """Choices of cloudtune, and likely mistakes."""


def check_study(file: str, on: Sequence[str] = (), overrides: Sequence[str] = ()) -> CheckResult:
    """Return the mistakes in a study file, and the findings of providers on its valid parts.

    Without providers, these are the findings of this machine, where `run` runs the study by
    default. If the study has settings for services, only what holds for any provider counts.
    Mistakes in the settings of all installed providers count in any case.

    Raises:
        UsageError: If there is no such provider.
    """
    study, problems, corrected = read_parts(file, overrides=overrides)
    for name in on:
        registry.get(name)
    result = CheckResult(study, list(problems))
    if study is None:
        return result
    result.notes = [*study.notes, *check_confirm(study), *registry.unknown_provider_notes(study)]
    invalid = {problem.path for problem in problems} - corrected
    if "" in invalid:
        return result  # what is missing may be in a part that cannot be read
    providers = list(dict.fromkeys(on or [_HERE]))
    if not problems:
        with suppress(StudyError):
            result.plans = plan_run(study, providers)
    for name in () if result.plans else providers:
        result.plans += _plan_parts(study, name, invalid, result.problems)
    result.findings = {plan.provider: _own_findings(plan, invalid) for plan in result.plans}
    for name in study.providers:
        if name in registry.names() and name not in providers:
            found = _settings_problems(study, name)
            result.problems += [problem for problem in found if problem not in result.problems]
    services = _service_names(study)
    if not on and (services or os.name != "posix"):
        absent = {
            *_EVERYWHERE,
            *(
                f"trial.inputs.{name}"
                for p in result.plans
                for name in p.facts.lookup.inputs.absent
            ),
        }
        own = result.findings.get(_HERE, [])
        result.findings[_HERE] = [finding for finding in own if finding.path in absent]
        text = "checked for any provider: --on PROVIDER also checks its rules and capabilities"
        result.notes.append(Note("providers", text))
    return result


def _service_names(study: Study) -> list[str]:
    """Return the providers and formats, other than this machine, for which a study has settings."""
    known = {*registry.names(), *formats.names()} - {_HERE}
    return [name for name in study.providers if name in known]


def _settings_problems(study: Study, name: str) -> Sequence[Problem]:
    try:
        read_settings(study, name, registry.get(name))
    except StudyError as error:
        return error.problems
    return ()


def _plan_parts(
    study: Study, on: str, invalid: set[str], problems: list[Problem]
) -> Sequence[Plan]:
    """Return a provider's plan of the parts that are valid, if any.

    Add the mistakes that planning finds, and their paths.
    """
    while True:
        try:
            return plan_run(_without(study, invalid), [on])
        except StudyError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            known = len(invalid)
            for problem in error.problems:
                invalid |= {problem.path, *_suggested_paths(problem)}
            if len(invalid) == known:
                return ()
        except CloudtuneError as error:
            if not problems:
                raise
            problems.append(Problem("", str(error), file=study.file))
            return ()


def _suggested_paths(problem: Problem) -> list[str]:
    """Return the path of the field that a misspelled one probably is."""
    suggestion = SUGGESTION.fullmatch(problem.hint)
    block = problem.path.rpartition(".")[0]
    return [f"{block}.{suggestion[1]}"] if suggestion else []


def _without(study: Study, invalid: Iterable[str]) -> Study:
    """Return a study without the fields of some paths, or without their blocks."""
    update: dict[str, Any] = {}
    trial: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    providers = dict(study.providers)
    for path in invalid:
        block, *keys = path.split(".")
        match block:
            case "trial" if keys:
                trial |= _defaults(TrialSpec, keys[0])
            case "limits" if keys:
                limits |= _defaults(Limits, keys[0])
            case "providers" if keys:
                settings = providers.get(keys[0], {}).items()
                providers[keys[0]] = {k: value for k, value in settings if k not in keys[1:2]}
            case _:
                update |= _defaults(Study, block)
    if update.keys() & {"parameters", "constants", "strategy", "initial_trials"}:
        update |= {"parameters": _PLACEHOLDER, "initial_trials": [], "constants": {}}
        update["strategy"] = Strategy()
    return study.model_copy(
        update={
            "trial": study.trial.model_copy(update=trial),
            "limits": study.limits.model_copy(update=limits),
            "providers": providers,
            **update,
        }
    )


def _defaults(model: type[BaseModel], name: str) -> dict[str, Any]:
    info = model.model_fields.get(name)
    return {name: info.get_default()} if info else {}


def _own_findings(plan: Plan, invalid: Iterable[str]) -> list[Finding]:
    """Return the findings of a plan that do not follow from a mistake."""
    if plan.broken:
        return []
    return [f for f in plan.findings if not any(_follows(f.path, path) for path in invalid)]


def _follows(path: str, invalid: str) -> bool:
    block = path.partition(".")[0]
    if _is_below(path, invalid) or _is_below(invalid, path):
        return True
    if block in _BLOCKS and _is_below(invalid, block):
        return True
    causes = [c for key, more in _FOLLOWS.items() if _is_below(path, key) for c in more]
    return any(_is_below(invalid, cause) for cause in causes)


def _is_below(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")
