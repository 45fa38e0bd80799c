"""Rules for the parameters of a StudySpec."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.rules import REQUIRED, Violation, find_duplicates, has_no_whitespace
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

    @property
    def bounds(self) -> tuple[float, float]:
        """Its inclusive bounds."""
        return float(self.values.get("minValue", 0)), float(self.values.get("maxValue", 0))


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


def check(job: Json) -> Iterator[Violation]:
    """Yield what is wrong with the parameters of a tuning job."""
    is_grid = job.get("studySpec", {}).get("algorithm") == "GRID_SEARCH"
    seen: list[Parameter] = []
    for parameter in parameters(job):
        for part, message in (
            *_field_mistakes(parameter),
            *_bound_mistakes(parameter),
            *_value_mistakes(parameter),
            *_scale_mistakes(parameter),
            *_condition_mistakes(parameter),
        ):
            yield parameter.path + part, message
        # Types, ParameterSpec.conditional_parameter_specs: "If two items in
        # conditional_parameter_specs have the same name, they must have disjoint
        # parent_value_condition."
        if any(_collide(parameter, other) for other in seen):
            yield f"{parameter.path}.parameter_id", f'"{parameter.id}" must be unique.'
        seen.append(parameter)
        # Types, Algorithm.GRID_SEARCH: INTEGER, CATEGORICAL and DISCRETE parameters only.
        if is_grid and parameter.kind == "doubleValueSpec":
            yield parameter.path, "GRID_SEARCH does not support DOUBLE parameters."


def _collide(one: Parameter, other: Parameter) -> bool:
    common = one.conditions.keys() & other.conditions.keys()
    exclusive = any(one.conditions[name].isdisjoint(other.conditions[name]) for name in common)
    return bool(one.id) and one.id == other.id and not exclusive


def _field_mistakes(parameter: Parameter) -> Iterator[Violation]:
    # Types, ParameterSpec.parameter_id: "must not contain whitespaces and must be unique".
    if not parameter.id:
        yield ".parameter_id", REQUIRED
    elif not has_no_whitespace(parameter.id):
        yield ".parameter_id", f'"{parameter.id}" must not contain whitespace.'
    # Types, ParameterSpec: one of four value specs.
    if not parameter.kind:
        yield "", "The parameter has no value spec."
    # Types, default_value of all four: "Not supported by HyperparameterTuningJob".
    if "defaultValue" in parameter.values:
        message = "Default values are not supported by HyperparameterTuningJob."
        yield ".default_value", message


def _bound_mistakes(parameter: Parameter) -> Iterator[Violation]:
    """Types, DoubleValueSpec and IntegerValueSpec: inclusive bounds."""
    if parameter.kind in KINDS[:2]:
        low, high = parameter.bounds
        if not (math.isfinite(low) and math.isfinite(high)):
            yield "", "min_value and max_value must be finite."
        elif low > high:
            yield "", f"min_value {low:g} must not be greater than max_value {high:g}."


def _value_mistakes(parameter: Parameter) -> Iterator[Violation]:
    """Types, CategoricalValueSpec and DiscreteValueSpec: values, their order, distance and number.

    "The list should be in increasing order and at least 1e-10 apart ... should not contain more
    than 1,000 values." Duplicate categories and infinite numbers are not excluded there; Google's
    own open-source Vizier refuses them: "Feasible values cannot have duplicates"
    (google/vizier, vizier/_src/pyvizier/shared/parameter_config.py).
    """
    values: Sequence[Any] = parameter.values.get("values", ())
    if parameter.kind in KINDS[2:] and not values:
        yield ".values", REQUIRED
    if parameter.kind == "categoricalValueSpec" and (duplicates := find_duplicates(values)):
        yield ".values", f"The values {', '.join(duplicates)} must be unique."
    if parameter.kind == "discreteValueSpec":
        if len(values) > MAX_VALUES:
            yield ".values", f"There must be at most {MAX_VALUES} discrete values."
        numbers = [float(value) for value in values]
        if not all(map(math.isfinite, numbers)):
            yield ".values", "Discrete values must be finite."
        elif any(not after - before >= TOLERANCE for before, after in pairwise(numbers)):
            yield ".values", "Discrete values must increase, by at least 1e-10."


def _scale_mistakes(parameter: Parameter) -> Iterator[Violation]:
    """Types, ParameterSpec.scale_type and ScaleType.

    "Leave unset for CATEGORICAL parameters"; for both logarithmic scales "the entire feasible space
    must be strictly positive".
    """
    scale = parameter.item.get("scaleType")
    lowest = parameter.bounds[0]
    if parameter.kind == "discreteValueSpec":
        lowest = min(map(float, parameter.values.get("values", ())), default=1.0)
    if scale is not None and parameter.kind == "categoricalValueSpec":
        yield ".scale_type", "It must not be set for a CATEGORICAL parameter."
    elif scale in _LOGARITHMIC and not lowest > 0:
        yield ".scale_type", f"{scale} requires that the feasible space is strictly positive."


def _condition_mistakes(parent: Parameter) -> Iterator[Violation]:
    """Types, ConditionalParameterSpec: of the parent's type, with values of the parent."""
    for number, child in enumerate(parent.item.get("conditionalParameterSpecs", ())):
        path = f".conditional_parameter_specs[{number}]"
        key, values = _condition(child)
        if "parameterSpec" not in child:
            yield f"{path}.parameter_spec", REQUIRED
        path += ".parent_value_condition"
        if not values:
            yield path, REQUIRED
        elif CONDITIONS[key] != parent.kind:
            yield path, f"The condition does not fit the type of its parent {parent.id}."
        else:
            for value in values:
                if matching_value(parent.item, parent.kind, value) is None:
                    yield path, f"The parent {parent.id} does not have the value {value}."
