"""Rules for the parameters of a StudySpec. See `rule`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator.rules import Rule, Wrong
from cloudtune_vertex.emulator.rules.job import REQUIRED
from cloudtune_vertex.emulator.search_space import CONDITIONS, TOLERANCE, matching_value

KINDS = ("doubleValueSpec", "integerValueSpec", "categoricalValueSpec", "discreteValueSpec")
MOST_VALUES = 1_000
_LOGARITHMIC = ("UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE")


@dataclass(frozen=True)
class Place:
    """One definition of one parameter, and where it stands."""

    path: str
    item: Json
    conditions: Mapping[str, frozenset[Any]]
    """Each parameter above it, with its values under which this one is active."""

    @property
    def id(self) -> str:
        """The parameter's id."""
        return str(self.item.get("parameterId", ""))

    @property
    def kind(self) -> str:
        """Which of the value specs it has; empty where it has none."""
        return next((kind for kind in KINDS if kind in self.item), "")

    @property
    def values(self) -> Json:
        """Its value spec."""
        found: Json = self.item.get(self.kind, {})
        return found


def places(job: Json) -> Iterator[Place]:
    """Yield every definition of a parameter, those that depend on others after these."""
    for number, item in enumerate(job.get("studySpec", {}).get("parameters", ())):
        yield from _below(Place(f"study_spec.parameters[{number}]", item, {}))


def _below(place: Place) -> Iterator[Place]:
    yield place
    for number, child in enumerate(place.item.get("conditionalParameterSpecs", ())):
        path = f"{place.path}.conditional_parameter_specs[{number}].parameter_spec"
        conditions = {**place.conditions, place.id: _meant(place, child)}
        if "parameterSpec" in child:
            yield from _below(Place(path, child["parameterSpec"], conditions))


def _condition(child: Json) -> tuple[str, Sequence[Any]]:
    """Return of which kind a condition is, and its values."""
    key = next((key for key in CONDITIONS if key in child), "")
    values: Sequence[Any] = child.get(key, {}).get("values", ())
    return key, values


def _meant(parent: Place, child: Json) -> frozenset[Any]:
    """Return the values of a parent under which a child is active."""
    key, values = _condition(child)
    if CONDITIONS.get(key) != parent.kind:
        return frozenset(values)
    own = [matching_value(parent.item, parent.kind, value) for value in values]
    return frozenset(values if None in own else own)


def ids(job: Json) -> Iterator[Wrong]:
    """Types, ParameterSpec.parameter_id: "must not contain whitespaces and must be unique"."""
    for place in places(job):
        if not place.id:
            yield f"{place.path}.parameter_id", REQUIRED
        elif any(letter.isspace() for letter in place.id):
            yield f"{place.path}.parameter_id", f'"{place.id}" must not contain whitespace.'


def unique(job: Json) -> Iterator[Wrong]:
    """Types, ParameterSpec.conditional_parameter_specs: a name twice only where never both hold.

    "If two items in conditional_parameter_specs have the same name, they must have disjoint
    parent_value_condition."
    """
    seen: list[Place] = []
    for place in places(job):
        for other in seen:
            if place.id and place.id == other.id and not _apart(place, other):
                yield f"{place.path}.parameter_id", f'"{place.id}" must be unique.'
                break
        seen.append(place)


def _apart(one: Place, other: Place) -> bool:
    common = one.conditions.keys() & other.conditions.keys()
    return any(one.conditions[name].isdisjoint(other.conditions[name]) for name in common)


def kinds(job: Json) -> Iterator[Wrong]:
    """Types, ParameterSpec: one of four value specs."""
    for place in places(job):
        if not place.kind:
            yield place.path, "The parameter has no value spec."


def bounds(job: Json) -> Iterator[Wrong]:
    """Types, DoubleValueSpec and IntegerValueSpec: inclusive bounds."""
    for place in places(job):
        if place.kind not in KINDS[:2]:
            continue
        low, high = _bounds(place)
        if not (math.isfinite(low) and math.isfinite(high)):
            yield place.path, "min_value and max_value must be finite."
        elif low > high:
            yield place.path, f"min_value {low:g} must not be greater than max_value {high:g}."


def _bounds(place: Place) -> tuple[float, float]:
    return float(place.values.get("minValue", 0)), float(place.values.get("maxValue", 0))


def listed(job: Json) -> Iterator[Wrong]:
    """Types, CategoricalValueSpec and DiscreteValueSpec: values, their order, distance and number.

    "The list should be in increasing order and at least 1e-10 apart ... should not contain more
    than 1,000 values." Neither categories that stand twice nor numbers without end are excluded
    there; Google's own open-source Vizier refuses them: "Feasible values cannot have duplicates"
    (google/vizier, vizier/_src/pyvizier/shared/parameter_config.py).
    """
    for place in places(job):
        if place.kind not in KINDS[2:]:
            continue
        values: Sequence[Any] = place.values.get("values", ())
        if not values:
            yield f"{place.path}.values", REQUIRED
        if place.kind != "discreteValueSpec":
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                yield f"{place.path}.values", f"The values {', '.join(twice)} must be unique."
            continue
        if len(values) > MOST_VALUES:
            yield f"{place.path}.values", f"There must be at most {MOST_VALUES} discrete values."
        numbers = [float(value) for value in values]
        if not all(math.isfinite(number) for number in numbers):
            yield f"{place.path}.values", "Discrete values must be finite."
        elif any(not after - before >= TOLERANCE for before, after in pairwise(numbers)):
            yield f"{place.path}.values", "Discrete values must increase, by at least 1e-10."


def scales(job: Json) -> Iterator[Wrong]:
    """Types, ParameterSpec.scale_type and ScaleType.

    "Leave unset for CATEGORICAL parameters"; for both logarithmic scales "the entire feasible space
    must be strictly positive".
    """
    for place in places(job):
        scale = place.item.get("scaleType")
        if scale is None:
            continue
        if place.kind == "categoricalValueSpec":
            yield f"{place.path}.scale_type", "It must not be set for a CATEGORICAL parameter."
        elif scale in _LOGARITHMIC and not _lowest(place) > 0:
            yield (
                f"{place.path}.scale_type",
                f"{scale} demands that the feasible space is strictly positive.",
            )


def _lowest(place: Place) -> float:
    if place.kind == "discreteValueSpec":
        return min((float(value) for value in place.values.get("values", ())), default=1.0)
    return _bounds(place)[0]


def defaults(job: Json) -> Iterator[Wrong]:
    """Types, default_value of all four: "Not supported by HyperparameterTuningJob"."""
    for place in places(job):
        if "defaultValue" in place.values:
            yield (
                f"{place.path}.default_value",
                "Default values are not supported by HyperparameterTuningJob.",
            )


def grid(job: Json) -> Iterator[Wrong]:
    """Types, Algorithm.GRID_SEARCH: INTEGER, CATEGORICAL and DISCRETE parameters alone."""
    if job.get("studySpec", {}).get("algorithm") != "GRID_SEARCH":
        return
    for place in places(job):
        if place.kind == "doubleValueSpec":
            yield place.path, "GRID_SEARCH does not support DOUBLE parameters."


def conditions(job: Json) -> Iterator[Wrong]:
    """Types, ConditionalParameterSpec: by the parent's type, with values that the parent has."""
    for place in places(job):
        for number, child in enumerate(place.item.get("conditionalParameterSpecs", ())):
            path = f"{place.path}.conditional_parameter_specs[{number}]"
            key, values = _condition(child)
            if "parameterSpec" not in child:
                yield f"{path}.parameter_spec", REQUIRED
            if not values:
                yield f"{path}.parent_value_condition", REQUIRED
            elif CONDITIONS[key] != place.kind:
                yield (
                    f"{path}.parent_value_condition",
                    f"The condition is not one on a parameter such as its parent {place.id}.",
                )
            else:
                for value in values:
                    if matching_value(place.item, place.kind, value) is None:
                        yield (
                            f"{path}.parent_value_condition",
                            f"The parent {place.id} does not have the value {value}.",
                        )


RULES: tuple[Rule, ...] = (
    ids,
    unique,
    kinds,
    bounds,
    listed,
    scales,
    defaults,
    grid,
    conditions,
)
