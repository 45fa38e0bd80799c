"""Rules for the parameters of a StudySpec."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.rules import Rule, Violation
from cloudtune_vertex.emulator.rules.job import REQUIRED
from cloudtune_vertex.emulator.search_space import CONDITIONS, TOLERANCE, matching_value

KINDS = ("doubleValueSpec", "integerValueSpec", "categoricalValueSpec", "discreteValueSpec")
MAX_VALUES = 1_000
_LOGARITHMIC = ("UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE")


@dataclass(frozen=True)
class Parameter:
    """A definition of a parameter and its path."""

    path: str
    item: Json
    conditions: Mapping[str, frozenset[Any]]
    """The values of each ancestor for which this parameter is active."""

    @property
    def id(self) -> str:
        """The parameter's id."""
        return str(self.item.get("parameterId", ""))

    @property
    def kind(self) -> str:
        """The kind of its value spec; empty if it has none."""
        return next((kind for kind in KINDS if kind in self.item), "")

    @property
    def values(self) -> Json:
        """Its value spec."""
        values: Json = self.item.get(self.kind, {})
        return values


def parameters(job: Json) -> Iterator[Parameter]:
    """Yield every definition of a parameter; parents come before their children."""
    for number, item in enumerate(job.get("studySpec", {}).get("parameters", ())):
        yield from _with_children(Parameter(f"study_spec.parameters[{number}]", item, {}))


def _with_children(parameter: Parameter) -> Iterator[Parameter]:
    yield parameter
    for number, child in enumerate(parameter.item.get("conditionalParameterSpecs", ())):
        path = f"{parameter.path}.conditional_parameter_specs[{number}].parameter_spec"
        conditions = {**parameter.conditions, parameter.id: _parent_values(parameter, child)}
        if "parameterSpec" in child:
            yield from _with_children(Parameter(path, child["parameterSpec"], conditions))


def _condition(child: Json) -> tuple[str, Sequence[Any]]:
    """Return the kind of a condition, and its values."""
    key = next((key for key in CONDITIONS if key in child), "")
    values: Sequence[Any] = child.get(key, {}).get("values", ())
    return key, values


def _parent_values(parent: Parameter, child: Json) -> frozenset[Any]:
    """Return the values of a parent for which a child is active."""
    key, values = _condition(child)
    if CONDITIONS.get(key) != parent.kind:
        return frozenset(values)
    matches = [matching_value(parent.item, parent.kind, value) for value in values]
    return frozenset(values if None in matches else matches)


def ids(job: Json) -> Iterator[Violation]:
    """Types, ParameterSpec.parameter_id: "must not contain whitespaces and must be unique"."""
    for parameter in parameters(job):
        if not parameter.id:
            yield f"{parameter.path}.parameter_id", REQUIRED
        elif any(letter.isspace() for letter in parameter.id):
            yield f"{parameter.path}.parameter_id", f'"{parameter.id}" must not contain whitespace.'


def unique(job: Json) -> Iterator[Violation]:
    """Types, ParameterSpec.conditional_parameter_specs: equal names must exclude each other.

    "If two items in conditional_parameter_specs have the same name, they must have disjoint
    parent_value_condition."
    """
    seen: list[Parameter] = []
    for parameter in parameters(job):
        for other in seen:
            if (
                parameter.id
                and parameter.id == other.id
                and not _exclude_each_other(parameter, other)
            ):
                yield f"{parameter.path}.parameter_id", f'"{parameter.id}" must be unique.'
                break
        seen.append(parameter)


def _exclude_each_other(one: Parameter, other: Parameter) -> bool:
    common = one.conditions.keys() & other.conditions.keys()
    return any(one.conditions[name].isdisjoint(other.conditions[name]) for name in common)


def kinds(job: Json) -> Iterator[Violation]:
    """Types, ParameterSpec: one of four value specs."""
    for parameter in parameters(job):
        if not parameter.kind:
            yield parameter.path, "The parameter has no value spec."


def bounds(job: Json) -> Iterator[Violation]:
    """Types, DoubleValueSpec and IntegerValueSpec: inclusive bounds."""
    for parameter in parameters(job):
        if parameter.kind not in KINDS[:2]:
            continue
        low, high = _bounds(parameter)
        if not (math.isfinite(low) and math.isfinite(high)):
            yield parameter.path, "min_value and max_value must be finite."
        elif low > high:
            yield parameter.path, f"min_value {low:g} must not be greater than max_value {high:g}."


def _bounds(parameter: Parameter) -> tuple[float, float]:
    return float(parameter.values.get("minValue", 0)), float(parameter.values.get("maxValue", 0))


def value_lists(job: Json) -> Iterator[Violation]:
    """Types, CategoricalValueSpec and DiscreteValueSpec: values, their order, distance and number.

    "The list should be in increasing order and at least 1e-10 apart ... should not contain more
    than 1,000 values." Duplicate categories and infinite numbers are not excluded there; Google's
    own open-source Vizier refuses them: "Feasible values cannot have duplicates"
    (google/vizier, vizier/_src/pyvizier/shared/parameter_config.py).
    """
    for parameter in parameters(job):
        if parameter.kind not in KINDS[2:]:
            continue
        values: Sequence[Any] = parameter.values.get("values", ())
        if not values:
            yield f"{parameter.path}.values", REQUIRED
        if parameter.kind != "discreteValueSpec":
            duplicates = sorted({value for value in values if values.count(value) > 1})
            if duplicates:
                yield (
                    f"{parameter.path}.values",
                    f"The values {', '.join(duplicates)} must be unique.",
                )
            continue
        if len(values) > MAX_VALUES:
            yield f"{parameter.path}.values", f"There must be at most {MAX_VALUES} discrete values."
        numbers = [float(value) for value in values]
        if not all(math.isfinite(number) for number in numbers):
            yield f"{parameter.path}.values", "Discrete values must be finite."
        elif any(not after - before >= TOLERANCE for before, after in pairwise(numbers)):
            yield f"{parameter.path}.values", "Discrete values must increase, by at least 1e-10."


def scales(job: Json) -> Iterator[Violation]:
    """Types, ParameterSpec.scale_type and ScaleType.

    "Leave unset for CATEGORICAL parameters"; for both logarithmic scales "the entire feasible space
    must be strictly positive".
    """
    for parameter in parameters(job):
        scale = parameter.item.get("scaleType")
        if scale is None:
            continue
        if parameter.kind == "categoricalValueSpec":
            yield f"{parameter.path}.scale_type", "It must not be set for a CATEGORICAL parameter."
        elif scale in _LOGARITHMIC and not _lowest(parameter) > 0:
            yield (
                f"{parameter.path}.scale_type",
                f"{scale} requires that the feasible space is strictly positive.",
            )


def _lowest(parameter: Parameter) -> float:
    if parameter.kind == "discreteValueSpec":
        return min((float(value) for value in parameter.values.get("values", ())), default=1.0)
    return _bounds(parameter)[0]


def defaults(job: Json) -> Iterator[Violation]:
    """Types, default_value of all four: "Not supported by HyperparameterTuningJob"."""
    for parameter in parameters(job):
        if "defaultValue" in parameter.values:
            yield (
                f"{parameter.path}.default_value",
                "Default values are not supported by HyperparameterTuningJob.",
            )


def grid(job: Json) -> Iterator[Violation]:
    """Types, Algorithm.GRID_SEARCH: INTEGER, CATEGORICAL and DISCRETE parameters only."""
    if job.get("studySpec", {}).get("algorithm") != "GRID_SEARCH":
        return
    for parameter in parameters(job):
        if parameter.kind == "doubleValueSpec":
            yield parameter.path, "GRID_SEARCH does not support DOUBLE parameters."


def conditions(job: Json) -> Iterator[Violation]:
    """Types, ConditionalParameterSpec: of the parent's type, with values of the parent."""
    for parameter in parameters(job):
        for number, child in enumerate(parameter.item.get("conditionalParameterSpecs", ())):
            path = f"{parameter.path}.conditional_parameter_specs[{number}]"
            key, values = _condition(child)
            if "parameterSpec" not in child:
                yield f"{path}.parameter_spec", REQUIRED
            if not values:
                yield f"{path}.parent_value_condition", REQUIRED
            elif CONDITIONS[key] != parameter.kind:
                yield (
                    f"{path}.parent_value_condition",
                    f"The condition does not fit the type of its parent {parameter.id}.",
                )
            else:
                for value in values:
                    if matching_value(parameter.item, parameter.kind, value) is None:
                        yield (
                            f"{path}.parent_value_condition",
                            f"The parent {parameter.id} does not have the value {value}.",
                        )


RULES: tuple[Rule, ...] = (
    ids,
    unique,
    kinds,
    bounds,
    value_lists,
    scales,
    defaults,
    grid,
    conditions,
)
