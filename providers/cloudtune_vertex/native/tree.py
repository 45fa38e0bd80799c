"""Writes the parameters of a study as the tree of a StudySpec."""

from __future__ import annotations

from collections.abc import Iterator

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
    list_values,
    match_value,
)
from cloudtune_vertex.native.names import SCALES

_MAX_VALUES = 1000
"""Values of a discrete parameter (study.proto)."""


def parameter_specs(study: Study, report: Report) -> list[Json]:
    """Return the parameters of a study; conditional ones are below their parent."""
    return [spec for spec, _ in _specs(study, report, None, None)]


def _specs(
    study: Study, report: Report, parent: str | None, owner: Parameter | None
) -> Iterator[tuple[Json, list[Value]]]:
    """Yield the specs below a definition, or at the top, each with the parent's values."""
    for name, variants in study.parameters.items():
        for parameter in variants:
            when = parameter.when or {}
            if (next(reversed(when), None)) != parent:
                continue
            path = f"parameters.{name}"
            if len(when) > 1:
                others = " and ".join(list(when)[:-1])
                reason = f"Vertex AI has one parent for each: it ignores the condition on {others}"
                report.approximate(f"{path}.when", reason)
            values: list[Value] = []
            if parent is not None and owner is not None:
                matches = (match_value(owner, value) for value in when[parent])
                values = [value for value in matches if value is not None]
                if not values:
                    continue
            spec: Json = {"parameterId": name, **_value_spec(path, parameter, report)}
            children = [
                {"parameterSpec": child, **_condition(parameter, required)}
                for child, required in _specs(study, report, name, parameter)
            ]
            if children:
                spec["conditionalParameterSpecs"] = children
            yield spec, values


def _condition(parent: Parameter, values: list[Value]) -> Json:
    if isinstance(parent, IntParameter):
        return {"parentIntValues": {"values": values}}
    if isinstance(parent, DiscreteParameter):
        return {"parentDiscreteValues": {"values": values}}
    return {"parentCategoricalValues": {"values": list(map(format_value, values))}}


def _value_spec(path: str, parameter: Parameter, report: Report) -> Json:
    scale = _scale(path, parameter, report)
    match parameter:
        case CategoricalParameter():
            return {"categoricalValueSpec": {"values": list(map(format_value, parameter.values))}}
        case BoolParameter():
            return {"categoricalValueSpec": {"values": ["False", "True"]}}
        case DiscreteParameter():
            return {"discreteValueSpec": {"values": parameter.values}, **scale}
        case FloatParameter() | IntParameter():
            return {**_range_spec(path, parameter, report), **scale}


def _range_spec(path: str, parameter: FloatParameter | IntParameter, report: Report) -> Json:
    is_float = isinstance(parameter, FloatParameter)
    if parameter.step is not None and (is_float or parameter.step != 1):
        if (count_values(parameter) or 0) <= _MAX_VALUES:
            values = list_values(parameter) or ()
            return {"discreteValueSpec": {"values": list(values)}}
        report.approximate(f"{path}.step", "Vertex AI has no step: any value is tried")
    key = "doubleValueSpec" if is_float else "integerValueSpec"
    return {key: {"minValue": parameter.min, "maxValue": parameter.max}}


def _scale(path: str, parameter: Parameter, report: Report) -> Json:
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return {}
    lowest = parameter.values[0] if isinstance(parameter, DiscreteParameter) else parameter.min
    scale = parameter.scale
    if scale == "reverse_log" and lowest <= 0:
        report.approximate(f"{path}.scale", "Vertex AI needs values above 0; here it is linear")
        scale = "linear"
    names = {ours: theirs for theirs, ours in SCALES.items()}
    return {} if scale == "auto" else {"scaleType": names[scale]}
