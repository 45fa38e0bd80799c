"""The hyperparameters of a job: which are tuned, and which are static."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloudtune.provider import (
    PROGRAM,
    Facts,
    FittedStudy,
    Parameter,
    Space,
    Value,
    count_values,
    format_value,
    has_code,
    is_active,
    is_same_value,
    list_values,
    match_value,
    uses_launcher,
    value_at,
)
from cloudtune_sagemaker.native.names import definition_name
from cloudtune_sagemaker.request.layout import submit_directory
from cloudtune_sagemaker.settings import SageMakerSettings

MAX_HYPERPARAMETERS = 100
"""Of one training job, including SageMaker's own."""
OBJECTIVE_PARAMETER = "_tuning_objective_metric"
"""The hyperparameter that a tuning job adds to each of its trials."""
RESERVED_PREFIX = "sagemaker_"
"""Names that belong to SageMaker's training toolkit start with it."""


@dataclass(frozen=True)
class DefinitionParameters:
    """The hyperparameters of one training definition of a tuning job."""

    name: str | None
    """The name of the definition; None if it is the only one."""
    tuned: Mapping[str, Parameter]
    static: Mapping[str, str]


def definition_parameters(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts
) -> list[DefinitionParameters]:
    """Return the hyperparameters of each training definition of a tuning job.

    A study whose conditions depend on one root has a definition for each value of the root.
    """
    toolkit = _toolkit_parameters(fitted, settings, facts, facts.job_name)
    constants = {name: format_value(value) for name, value in fitted.study.constants.items()}
    strategy = fitted.study.strategy
    if strategy.resource and strategy.max:
        constants[strategy.resource] = format_value(strategy.max)
    if fitted.root is None:
        tuned = {name: variants[0] for name, variants in fitted.study.parameters.items()}
        fixed = {name: format_value(value) for name, value in fitted.fixed_values.items()}
        return [DefinitionParameters(None, tuned, {**constants, **fixed, **toolkit})]
    definitions: list[DefinitionParameters] = []
    for name, value in definition_names(fitted, settings.definition_names).items():
        values = {fitted.root: value, **fixed_parameters(fitted, value)}
        fixed = {name: format_value(each) for name, each in values.items()}
        tuned = dict(active_parameters(fitted, value))
        definitions.append(DefinitionParameters(name, tuned, {**constants, **fixed, **toolkit}))
    return definitions


def definition_names(fitted: FittedStudy, chosen: Mapping[str, str]) -> dict[str, Value]:
    """Return the names of a tuning job's training definitions, each with its value of the root.

    Empty unless all conditions depend on one parameter. `chosen` has names by the text of a value.
    """
    names: dict[str, Value] = {}
    if fitted.root is None:
        return names
    used: set[str] = set()
    for value in list_values(fitted.study.parameters[fitted.root][0]) or ():
        text = format_value(value)
        name = chosen.get(text) or definition_name(fitted.root, text, used)
        used.add(name.lower())
        names[name] = value
    return names


def static_parameters(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts, job: str
) -> dict[str, str]:
    """Return the hyperparameters that are the same in all trials of the driven mode."""
    constants = {name: format_value(value) for name, value in fitted.study.constants.items()}
    return {**constants, **_toolkit_parameters(fitted, settings, facts, job)}


def _toolkit_parameters(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts, job: str
) -> dict[str, str]:
    """Return what SageMaker's training toolkit needs to run the code; empty without code."""
    study = fitted.study
    if not has_code(study):
        return {}
    return {
        "sagemaker_program": PROGRAM if uses_launcher(study, facts) else study.trial.script or "",
        "sagemaker_submit_directory": submit_directory(fitted, settings, facts),
        "sagemaker_container_log_level": "20",
        "sagemaker_region": facts.data["region"],
        "sagemaker_job_name": job,
    }


def active_parameters(fitted: FittedStudy, root_value: Value) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters that are tuned if the root has a value, by their names."""
    for name, variants in fitted.study.parameters.items():
        for parameter in variants:
            required = (parameter.when or {}).get(fitted.root or "")
            if name != fitted.root and (
                required is None or any(is_same_value(value, root_value) for value in required)
            ):
                yield name, parameter


def fixed_parameters(fitted: FittedStudy, root_value: Value) -> dict[str, Value]:
    """Return the active parameters that have only one value, by the names that are sent."""
    values: dict[str, Value] = {}
    fixed: dict[str, Value] = {}
    for node in Space.from_study(fitted.original).nodes:
        if not is_active(node, values):
            continue
        if node.name == fitted.root:
            typed = match_value(node.parameter, root_value)
            values[node.name] = root_value if typed is None else typed
        elif count_values(node.parameter) == 1:
            values[node.name] = value_at(node.parameter, 0)
            fixed[fitted.names[node.key]] = values[node.name]
    return fixed
