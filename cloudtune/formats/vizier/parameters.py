"""Reads the tree of parameters of a StudySpec, of Vizier or Vertex AI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.values import parse_number, rising_numbers, unique_values
from cloudtune.formats.vizier.names import BOOLEANS, EXTERNAL_TYPES, SCALES

_KINDS = {
    "doubleValueSpec": "float",
    "integerValueSpec": "int",
    "categoricalValueSpec": "categorical",
    "discreteValueSpec": "discrete",
}
_CONDITIONS = ("parentDiscreteValues", "parentIntValues", "parentCategoricalValues")


def read_parameter_specs(
    spec: Fields, origins: dict[str, str], default_note: str, *, external: bool = False
) -> Json:
    """Return the parameters of a study, parents first, in the order of the document.

    Args:
        spec: The StudySpec, with fields in camelCase.
        origins: Receives the path of each parameter.
        default_note: What to say of a default value.
        external: Whether a parameter can have an external type, as in the open source Vizier.
    """
    reader = _TreeReader(origins, default_note, external)
    for fields in spec.maps("parameters", "parameterId"):
        reader.read(fields, None)
    if not spec.original.get("parameters"):
        spec.mistake("parameters", "a study needs parameters")
    return {name: each if len(each) > 1 else each[0] for name, each in reader.found.items()}


@dataclass
class _TreeReader:
    origins: dict[str, str]
    default_note: str
    external: bool
    found: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])

    def read(self, fields: Fields, when: Json | None) -> None:
        """Add a parameter and those that depend on it."""
        name = fields.text("parameterId")
        if not name:
            fields.mistake("parameterId", "a parameter needs an id")
            return
        parameter = self._parameter(fields)
        if parameter is None:
            return
        variant = {**parameter, **({"when": when} if when else {})}
        variants = self.found.setdefault(name, [])
        if variants and not when:
            fields.mistake("parameterId", f"{name} is defined twice without conditions")
        if variant not in variants:
            variants.append(variant)
        self.origins.setdefault(f"parameters.{name}", fields.path)
        for entry in fields.maps("conditionalParameterSpecs"):
            values = _parent_values(entry, parameter)
            child = entry.map("parameterSpec")
            if values is not None:
                self.read(child, {name: values})
            if child.rest():  # so that an export finds what belongs to it
                child.put("parameterId", child.original.get("parameterId"))
                for key in _CONDITIONS:
                    if key in entry.original:
                        entry.put(key, entry.original[key])

    def _parameter(self, fields: Fields) -> Json | None:
        keys = [key for key in _KINDS if fields.peek(key) is not None]
        if len(keys) != 1:
            text = "a parameter needs one value spec" + (
                f", not {' and '.join(keys)}" if keys else ""
            )
            fields.mistake("parameterId", text, f"set one of {', '.join(_KINDS)}")
            return None
        key, kind = keys[0], _KINDS[keys[0]]
        spec = fields.map(key)
        if "defaultValue" in spec:
            spec.note("defaultValue", self.default_note)
        external = _external_type(fields) if self.external else ""
        if kind == "categorical":
            fields.take("scaleType")
            values = [str(value) for value in spec.items("values")]
            if not values:
                spec.mistake("values", "a categorical parameter needs values")
                return None
            if external == "AS_BOOLEAN" and sorted(values) == BOOLEANS:
                fields.take("externalType")
                return {"type": "bool"}
            return {"type": kind, "values": unique_values(values)}
        scale = _scale(fields)
        if kind == "discrete":
            numbers = rising_numbers(spec.items("values"))
            if not numbers:
                spec.mistake("values", "a discrete parameter needs numbers")
                return None
            if external == "AS_FLOAT":
                numbers = list(map(float, numbers))
            elif self.external and not external:  # an export adds the type of integers
                fields.put("externalType", EXTERNAL_TYPES[0])
            return {"type": kind, "values": numbers, **scale}
        bounds = read_bounds(spec, whole=kind == "int")
        return None if bounds is None else {"type": kind, **bounds, **scale}


def read_bounds(fields: Fields, *, whole: bool) -> Json | None:
    """Return the ``min`` and ``max`` of a range. An absent bound is 0: protobuf omits zeros.

    None after a mistake: where an absent bound would leave no values, it was forgotten.
    """
    read = fields.integer if whole else fields.number
    bounds = {key: read(key) for key in ("minValue", "maxValue")}
    low, high = (value or 0 for value in bounds.values())
    for key, value in bounds.items():
        if value is None and fields.original.get(key) is None and low > high:
            other = "below minValue" if key == "maxValue" else "above maxValue"
            fields.mistake(key, f"absent, which means 0: {other} {low or high}")
            return None
    return {"min": low, "max": high}


def _parent_values(entry: Fields, parent: Json) -> list[Any] | None:
    keys = [key for key in _CONDITIONS if key in entry]
    if len(keys) != 1:
        text = "a conditional parameter needs the values of its parent"
        entry.mistake(_CONDITIONS[0], text, f"set one of {', '.join(_CONDITIONS)}")
        return None
    values = entry.map(keys[0]).items("values")
    if parent["type"] == "float":
        entry.mistake(keys[0], "a DOUBLE cannot be the parent of a condition")
        return None
    if parent["type"] == "bool":
        return [str(value) == BOOLEANS[1] for value in values]
    if keys[0] == "parentCategoricalValues":
        return [str(value) for value in values]
    numbers = [number for value in values if (number := parse_number(value)) is not None]
    if len(numbers) < len(values):
        entry.mistake(keys[0], "the values must be numbers")
        return None
    return [int(number) if number == int(number) else number for number in numbers]


def _external_type(fields: Fields) -> str:
    """Return the type that Vizier's client shows, which stays where it is."""
    value: Any = fields.peek("externalType")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(EXTERNAL_TYPES):
        return EXTERNAL_TYPES[value]
    if value is None:
        return ""
    if value not in EXTERNAL_TYPES:
        fields.mistake(
            "externalType", f"unknown type {value!r}", f"use {', '.join(EXTERNAL_TYPES)}"
        )
        return ""
    return str(value)


def _scale(fields: Fields) -> Json:
    value = fields.word("scaleType") or 0
    name = dict(enumerate(SCALES)).get(value, value) if isinstance(value, int) else value
    if name not in SCALES:
        fields.mistake("scaleType", f"unknown scale {value!r}", f"use {', '.join(SCALES)}")
        return {}
    scale = SCALES[str(name)]
    return {} if scale == "linear" else {"scale": scale}
