"""Writes the parameters of a study as the tree of a StudySpec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cloudtune.formats.fields import Json, Report
from cloudtune.formats.vizier.names import BOOLEANS, SCALES
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import (
    Value,
    count_values,
    format_value,
    list_values,
    match_value,
)
from cloudtune.study.study import Study

_MAX_VALUES = 1000
"""Values of a discrete parameter (study.proto)."""


def write_parameter_specs(
    study: Study, report: Report, service: str, *, external: bool = False
) -> list[Json]:
    """Return the parameters of a study; conditional ones are below their parent.

    Args:
        study: The study.
        report: Receives what a StudySpec cannot express.
        service: The name of the service, for messages.
        external: Whether to write the external type of booleans, as in the open source Vizier.
    """
    writer = _TreeWriter(study, report, service, external)
    return [spec for spec, _ in writer.specs(None, None)]


@dataclass(frozen=True)
class _TreeWriter:
    study: Study
    report: Report
    service: str
    external: bool

    def specs(
        self, parent: str | None, owner: Parameter | None
    ) -> Iterator[tuple[Json, list[Value]]]:
        """Yield the specs below a definition, or at the top, each with the parent's values."""
        for name, variants in self.study.parameters.items():
            for parameter in variants:
                when = parameter.when or {}
                if (next(reversed(when), None)) != parent:
                    continue
                path = f"parameters.{name}"
                if len(when) > 1:
                    others = " and ".join(list(when)[:-1])
                    reason = f"has one parent for each: it ignores the condition on {others}"
                    self.report.approximate(f"{path}.when", f"{self.service} {reason}")
                values: list[Value] = []
                if parent is not None and owner is not None:
                    matches = (match_value(owner, value) for value in when[parent])
                    values = [value for value in matches if value is not None]
                    if not values:
                        continue
                spec: Json = {"parameterId": name, **self._value_spec(path, parameter)}
                children = [
                    {"parameterSpec": child, **_condition(parameter, required)}
                    for child, required in self.specs(name, parameter)
                ]
                if children:
                    spec["conditionalParameterSpecs"] = children
                yield spec, values

    def _value_spec(self, path: str, parameter: Parameter) -> Json:
        scale = self._scale(path, parameter)
        match parameter:
            case CategoricalParameter():
                values = list(map(format_value, parameter.values))
                return {"categoricalValueSpec": {"values": values}}
            case BoolParameter():
                external = {"externalType": "AS_BOOLEAN"} if self.external else {}
                return {"categoricalValueSpec": {"values": list(BOOLEANS)}, **external}
            case DiscreteParameter():
                return {"discreteValueSpec": {"values": parameter.values}, **scale}
            case FloatParameter() | IntParameter():
                return {**self._range_spec(path, parameter), **scale}

    def _range_spec(self, path: str, parameter: FloatParameter | IntParameter) -> Json:
        is_float = isinstance(parameter, FloatParameter)
        if parameter.step is not None and (is_float or parameter.step != 1):
            if (count_values(parameter) or 0) <= _MAX_VALUES:
                values = list_values(parameter) or ()
                return {"discreteValueSpec": {"values": list(values)}}
            reason = f"{self.service} has no step: any value is tried"
            self.report.approximate(f"{path}.step", reason)
        key = "doubleValueSpec" if is_float else "integerValueSpec"
        return {key: {"minValue": parameter.min, "maxValue": parameter.max}}

    def _scale(self, path: str, parameter: Parameter) -> Json:
        if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
            return {}
        lowest = parameter.values[0] if isinstance(parameter, DiscreteParameter) else parameter.min
        scale = parameter.scale
        if scale == "reverse_log" and lowest <= 0:
            reason = f"{self.service} has reverse_log only for values above 0; here it is linear"
            self.report.approximate(f"{path}.scale", reason)
            scale = "linear"
        names = {ours: theirs for theirs, ours in SCALES.items()}
        return {} if scale == "auto" else {"scaleType": names[scale]}


def _condition(parent: Parameter, values: list[Value]) -> Json:
    if isinstance(parent, IntParameter):
        return {"parentIntValues": {"values": values}}
    if isinstance(parent, DiscreteParameter):
        return {"parentDiscreteValues": {"values": values}}
    return {"parentCategoricalValues": {"values": list(map(format_value, values))}}
