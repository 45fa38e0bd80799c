"""Writes the parameters of a study as the ranges of one training definition, or of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.provider import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Report,
    Study,
    Value,
    count_values,
    format_value,
    is_same_value,
    list_values,
    value_at,
)
from cloudtune_sagemaker.native.names import SCALES, definition_name

_MAX_VALUES = 30
"""Values of a categorical range (CategoricalParameterRanges[].Values, botocore 1.44.8)."""


@dataclass
class Branch:
    """The parameters of one training definition."""

    name: str
    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Value] = field(default_factory=dict[str, Value])


def branches(study: Study, settings: Mapping[str, Any], report: Report) -> list[Branch]:
    """Return one branch, or one for each value of the parameter on which conditions depend."""
    parents = {
        parent
        for variants in study.parameters.values()
        for parameter in variants
        for parent in parameter.when or {}
    }
    if not parents:
        return [Branch("", {name: variants[0] for name, variants in study.parameters.items()})]
    root = next(iter(parents))
    values = list_values(study.parameters[root][0]) if root in study.parameters else None
    if len(parents) > 1 or values is None or len(values) > 10:
        reason = (
            "SageMaker has conditional parameters only as training definitions: at most 10, one "
            "for each value of one parameter"
        )
        report.refuse("parameters", reason)
        return []
    names: Mapping[str, str] = settings.get("definition_names", {})
    used: set[str] = set()
    found: list[Branch] = []
    for value in values:
        text = format_value(value)
        name = names.get(text) or definition_name(root, text, used)
        used.add(name.lower())
        active = {
            each: parameter
            for each, variants in study.parameters.items()
            for parameter in variants
            if each != root and _is_active(parameter, root, value)
        }
        fixed = {
            each: value_at(parameter, 0)
            for each, parameter in active.items()
            if parameter.when and count_values(parameter) == 1
        }
        tuned = {each: parameter for each, parameter in active.items() if each not in fixed}
        found.append(Branch(name, tuned, {root: value, **fixed}))
    return found


def _is_active(parameter: Parameter, root: str, value: Value) -> bool:
    required = (parameter.when or {}).get(root)
    return required is None or any(is_same_value(each, value) for each in required)


def ranges(branch: Branch, report: Report, encode: Callable[[Value], str]) -> Json:
    """Return the ParameterRanges of a branch."""
    found: dict[str, list[Json]] = {}
    for name, parameter in branch.parameters.items():
        kind, fields = _range(f"parameters.{name}", parameter, report, encode)
        found.setdefault(f"{kind}ParameterRanges", []).append({"Name": name, **fields})
    return dict(found)


def _range(
    path: str, parameter: Parameter, report: Report, encode: Callable[[Value], str]
) -> tuple[str, Json]:
    values: tuple[Value, ...] = ()
    match parameter:
        case CategoricalParameter():
            values = tuple(parameter.values)
        case BoolParameter():
            values = ("True", "False")
        case DiscreteParameter():
            values = tuple(parameter.values)
            report.approximate(path, "SageMaker has no order of values: they are categorical")
        case FloatParameter() | IntParameter() if parameter.step not in {None, 1} or (
            parameter.step == 1 and isinstance(parameter, FloatParameter)
        ):
            count = count_values(parameter) or 0
            if 0 < count <= _MAX_VALUES:
                values = list_values(parameter) or ()
                report.approximate(f"{path}.step", "the values of the step are categorical")
            else:
                report.approximate(f"{path}.step", "SageMaker has no step: any value is tried")
        case _:
            pass
    if values:
        return "Categorical", {"Values": list(map(encode, values))}
    assert isinstance(parameter, FloatParameter | IntParameter)
    return _bounds(path, parameter, report)


def _bounds(
    path: str, parameter: FloatParameter | IntParameter, report: Report
) -> tuple[str, Json]:
    is_float = isinstance(parameter, FloatParameter)
    names = {ours: theirs for theirs, ours in SCALES.items()}
    scale = parameter.scale
    if scale == "reverse_log" and not (is_float and 0 <= parameter.min <= parameter.max < 1):
        report.approximate(
            f"{path}.scale", "SageMaker has it for floats from 0 to below 1; here it is linear"
        )
        scale = "linear"
    return "Continuous" if is_float else "Integer", {
        "MinValue": format_value(parameter.min),
        "MaxValue": format_value(parameter.max),
        "ScalingType": names[scale],
    }
