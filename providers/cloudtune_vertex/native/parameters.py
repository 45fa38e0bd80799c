"""Reads the tree of parameters of a StudySpec."""

from __future__ import annotations

from typing import Any

from cloudtune.provider import Fields, Json, parse_number, rising_numbers, unique_values
from cloudtune_vertex.native.names import NUMBERS, SCALES

_KINDS = {
    "doubleValueSpec": "float",
    "integerValueSpec": "int",
    "categoricalValueSpec": "categorical",
    "discreteValueSpec": "discrete",
}
_CONDITIONS = ("parentDiscreteValues", "parentIntValues", "parentCategoricalValues")


def read_parameters(spec: Fields, origins: dict[str, str]) -> Json:
    """Return the parameters of a study, parents first, in the order of the document."""
    found: dict[str, list[Json]] = {}
    for fields in spec.maps("parameters", "parameterId"):
        _read(fields, None, found, origins)
    if not spec.original.get("parameters"):
        spec.mistake("parameters", "a study needs parameters")
    return {name: each if len(each) > 1 else each[0] for name, each in found.items()}


def _read(
    fields: Fields, when: Json | None, found: dict[str, list[Json]], origins: dict[str, str]
) -> None:
    name = fields.text("parameterId")
    if not name:
        fields.mistake("parameterId", "a parameter needs an id")
        return
    parameter = _parameter(fields)
    if parameter is None:
        return
    variant = {**parameter, **({"when": when} if when else {})}
    variants = found.setdefault(name, [])
    if variants and not when:
        fields.mistake("parameterId", f"{name} is defined twice without conditions")
    if variant not in variants:
        variants.append(variant)
    origins.setdefault(f"parameters.{name}", fields.path)
    for entry in fields.maps("conditionalParameterSpecs"):
        values = _parent_values(entry, parameter)
        if values is not None:
            child = entry.map("parameterSpec")
            _read(child, {name: values}, found, origins)


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
    if keys[0] == "parentCategoricalValues":
        return [str(value) for value in values]
    numbers = [number for value in values if (number := parse_number(value)) is not None]
    if len(numbers) < len(values):
        entry.mistake(keys[0], "the values must be numbers")
        return None
    return [int(number) if number == int(number) else number for number in numbers]


def _parameter(fields: Fields) -> Json | None:
    keys = [key for key in _KINDS if fields.peek(key) is not None]
    if len(keys) != 1:
        text = "a parameter needs one value spec" + (f", not {' and '.join(keys)}" if keys else "")
        fields.mistake("parameterId", text, f"set one of {', '.join(_KINDS)}")
        return None
    key, kind = keys[0], _KINDS[keys[0]]
    spec = fields.map(key)
    if "defaultValue" in spec:
        spec.note("defaultValue", "kept for Vertex AI, which supports it in Vizier only")
    if kind == "categorical":
        fields.take("scaleType")
        values = [str(value) for value in spec.items("values")]
        if not values:
            spec.mistake("values", "a categorical parameter needs values")
            return None
        return {"type": kind, "values": unique_values(values)}
    scale = _scale(fields)
    if kind == "discrete":
        numbers = rising_numbers(spec.items("values"))
        if not numbers:
            spec.mistake("values", "a discrete parameter needs numbers")
            return None
        return {"type": kind, "values": numbers, **scale}
    read = spec.integer if kind == "int" else spec.number
    low, high = read("minValue"), read("maxValue")
    # Zeros vanish in the JSON of protobuf.
    return {
        "type": kind,
        "min": 0 if low is None else low,
        "max": 0 if high is None else high,
        **scale,
    }


def _scale(fields: Fields) -> Json:
    value = fields.word("scaleType") or 0
    name = NUMBERS["scaleType"].get(value, value) if isinstance(value, int) else value
    if name not in SCALES:
        fields.mistake("scaleType", f"unknown scale {value!r}", f"use {', '.join(SCALES)}")
        return {}
    return {} if SCALES[name] == "linear" else {"scale": SCALES[name]}
