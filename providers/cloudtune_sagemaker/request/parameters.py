"""The hyperparameters of a job: which are tuned, and which are static."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloudtune.provider import (
    FittedStudy,
    Parameter,
    Space,
    Study,
    Value,
    count_values,
    format_value,
    is_active,
    is_same_value,
    list_values,
    match_value,
    value_at,
)
from cloudtune_sagemaker.native.names import definition_name

MAX_HYPERPARAMETERS = 100
"""Of one training job, including SageMaker's own."""
OBJECTIVE_PARAMETER = "_tuning_objective_metric"
"""The hyperparameter that a tuning job adds to each of its trials."""
RESERVED_PREFIX = "sagemaker_"
"""Names that belong to SageMaker's training toolkit start with it."""


@dataclass(frozen=True)
class Definition:
    """The hyperparameters of one training definition of a tuning job."""

    name: str | None
    """The name of the definition; None if it is the only one."""
    tuned: Mapping[str, Parameter]
    fixed: Mapping[str, Value]
    """The values of parameters that are not tuned here."""


def list_definitions(fitted: FittedStudy, names: Mapping[str, str]) -> list[Definition]:
    """Return the training definitions of a tuning job; see `definition_names` for `names`.

    A study whose conditions depend on one root has a definition for each value of the root.
    """
    if fitted.root is None:
        tuned = {name: variants[0] for name, variants in fitted.study.parameters.items()}
        return [Definition(None, tuned, fitted.fixed_values)]
    found: list[Definition] = []
    for name, value in definition_names(fitted, names).items():
        fixed = {fitted.root: value, **fixed_parameters(fitted, value)}
        found.append(Definition(name, dict(active_parameters(fitted, value)), fixed))
    return found


def static_values(study: Study, definition: Definition) -> dict[str, Value]:
    """Return the hyperparameters of a definition that are the same in all of its trials."""
    strategy = study.strategy
    resource = {strategy.resource: strategy.max} if strategy.resource and strategy.max else {}
    return {**study.constants, **resource, **definition.fixed}


def max_trials(study: Study) -> int | None:
    """Return the maximum number of trials of a tuning job, which is never above the combinations.

    None for a grid, which SageMaker counts itself, and for a study with only a time limit.
    """
    if study.strategy.name == "grid" or study.limits.max_trials is None:
        return None
    return min(study.limits.max_trials, Space.from_study(study).size or study.limits.max_trials)


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
