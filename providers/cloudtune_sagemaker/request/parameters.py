"""What goes to SageMaker as hyperparameters: what is tuned, and what stays the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.bundle.launcher import PROGRAM
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code, uses_launcher
from cloudtune.study.schema import Parameter
from cloudtune.study.search_space import (
    Space,
    Value,
    count_values,
    format_value,
    is_active,
    is_same_value,
    list_values,
    match_value,
    value_at,
)
from cloudtune.study.study import Study
from cloudtune_sagemaker.settings import SageMakerSettings

MOST = 100
"""Hyperparameters of one training job, with those that are SageMaker's own."""
OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter that a tuning job adds to each of its trials."""
OWN = "sagemaker_"
"""How the names begin that belong to SageMaker's training toolkit."""
CODE_CHANNEL = "code"
"""The channel in which the archive comes where the container has no network to fetch it."""
ARCHIVE = "sourcedir.tar.gz"


@dataclass(frozen=True)
class Branch:
    """What a training definition tunes: everything, or what is active under one value."""

    name: str | None
    """The definition's name; None where there is one alone."""
    value: Value | None
    """The value of the root that it stands for."""
    tuned: Mapping[str, Parameter]
    static: Mapping[str, str]


def branches(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> list[Branch]:
    """Return what each training definition of a tuning job tunes, and what it is always given."""
    toolkit = _toolkit_values(fitted.study, settings, facts, facts.job_name)
    constants = {name: format_value(value) for name, value in fitted.study.constants.items()}
    strategy = fitted.study.strategy
    if strategy.resource and strategy.max:
        constants[strategy.resource] = format_value(strategy.max)
    if fitted.root is None:
        tuned = {name: found[0] for name, found in fitted.study.parameters.items()}
        fixed = {name: format_value(value) for name, value in fitted.fixed_values.items()}
        return [Branch(None, None, tuned, {**constants, **fixed, **toolkit})]
    made: list[Branch] = []
    for name, value in definition_names(fitted).items():
        static = {**constants, fitted.root: format_value(value), **_fixed(fitted, value), **toolkit}
        made.append(Branch(name, value, dict(_active(fitted, value)), static))
    return made


def definition_names(fitted: FittedStudy) -> dict[str, Value]:
    """Return the names of a tuning job's training definitions, each with its value of the root.

    Empty where all conditions do not hang on one parameter.
    """
    names: dict[str, Value] = {}
    if fitted.root is None:
        return names
    taken: set[str] = set()
    for value in list_values(fitted.study.parameters[fitted.root][0]) or ():
        words = re.sub(r"[^a-zA-Z0-9]+", "-", f"{fitted.root}-{format_value(value)}").strip("-")
        start = words[:60].strip("-") or "definition"
        candidates = itertools.chain([start], (f"{start}-{n}" for n in itertools.count(2)))
        name = next(name for name in candidates if name.lower() not in taken)
        taken.add(name.lower())
        names[name] = value
    return names


def constants_of(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts, job: str
) -> dict[str, str]:
    """Return what each trial of the driven mode is given beside its parameters.

    Args:
        fitted: The study.
        settings: The provider's.
        facts: What the plan knows.
        job: The name of the trial's training job.
    """
    constants = {name: format_value(value) for name, value in fitted.study.constants.items()}
    return {**constants, **_toolkit_values(fitted.study, settings, facts, job)}


def _toolkit_values(
    study: Study, settings: SageMakerSettings, facts: Facts, job: str
) -> dict[str, str]:
    """Return what tells SageMaker's training toolkit which code to run; nothing without code."""
    if not has_code(study):
        return {}
    return {
        "sagemaker_program": PROGRAM if uses_launcher(study, facts) else study.trial.script or "",
        "sagemaker_submit_directory": _code_address(settings, facts),
        "sagemaker_container_log_level": "20",
        "sagemaker_region": facts.own["region"],
        "sagemaker_job_name": job,
    }


def archive(facts: Facts) -> str:
    """Return where the archive of the code lies in S3."""
    return facts.own["code"] or f"{home(facts.own, facts.job_name)}/source/{ARCHIVE}"


def home(own: Mapping[str, Any], job: str) -> str:
    """Return the address below which everything of a job lies in S3.

    Args:
        own: What was looked up: bucket and prefix.
        job: The name of the job.
    """
    parts = [own["bucket"], own["prefix"], job]
    return "s3://" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def _code_address(settings: SageMakerSettings, facts: Facts) -> str:
    """Return where a container finds the archive of the code."""
    if not settings.network_isolation:
        return archive(facts)
    return f"/opt/ml/input/data/{CODE_CHANNEL}/{archive(facts).rpartition('/')[2]}"


def _active(fitted: FittedStudy, value: Value) -> Iterator[tuple[str, Parameter]]:
    """Yield what is tuned under a value of the root."""
    for name, definitions in fitted.study.parameters.items():
        for parameter in definitions:
            wanted = (parameter.when or {}).get(fitted.root or "")
            if name != fitted.root and (
                wanted is None or any(is_same_value(v, value) for v in wanted)
            ):
                yield name, parameter


def _fixed(fitted: FittedStudy, value: Value) -> dict[str, str]:
    """Return the parameters with one value that are active under a value of the root."""
    known: dict[str, Value] = {}
    found: dict[str, str] = {}
    for node in Space.from_study(fitted.original).nodes:
        if not is_active(node, known):
            continue
        if node.name == fitted.root:
            own = match_value(node.parameter, value)
            known[node.name] = value if own is None else own
        elif count_values(node.parameter) == 1:
            known[node.name] = value_at(node.parameter, 0)
            found[fitted.names[node.key]] = format_value(known[node.name])
    return found
