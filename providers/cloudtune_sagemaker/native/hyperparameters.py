"""Reads the ranges and the static hyperparameters of a training definition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudtune.formats import Fields, parse_text, parse_texts, unique_values
from cloudtune.provider import Json, Value, is_list
from cloudtune_sagemaker.native.names import AUTO, LINEAR, REVERSED, SCALES, script_argument

RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def read_ranges(fields: Fields, *, decoded: bool, origins: dict[str, str]) -> dict[str, Json]:
    """Return the parameters of ParameterRanges, in the order of the document.

    Args:
        fields: The ranges.
        decoded: Whether the script gets values decoded from JSON.
        origins: Receives the path of each parameter.
    """
    parameters: dict[str, Json] = {}
    for key in [key for key in fields.original if key in RANGES]:
        for each in fields.maps(key, "Name"):
            name = each.text("Name")
            if not name:
                each.mistake("Name", "a range needs a name")
                continue
            if name in parameters:
                each.mistake("Name", f"{name} has two ranges")
            parameter = _read_range(key, each, decoded=decoded)
            if parameter is not None:
                parameters[name] = parameter
                origins[f"parameters.{name}"] = each.path
    if fields.peek("AutoParameters"):
        reason = "SageMaker chooses these ranges itself; other services do not tune the parameters"
        fields.approximate("AutoParameters", reason)
    return parameters


def _read_range(kind: str, fields: Fields, *, decoded: bool) -> Json | None:
    if kind == "CategoricalParameterRanges":
        values = fields.items("Values")
        if not values:
            fields.mistake("Values", "a categorical range needs values")
            return None
        texts = [str(value) for value in values]
        return {"type": "categorical", "values": unique_values(read_values(texts, decoded=decoded))}
    read = fields.integer if kind == "IntegerParameterRanges" else fields.number
    low, high = read("MinValue"), read("MaxValue")
    scaling = fields.word("ScalingType") or AUTO
    if scaling not in SCALES:
        fields.mistake("ScalingType", f"unknown scale {scaling!r}", f"use {', '.join(SCALES)}")
        return None
    if low is None or high is None:
        if not fields.report.problems:
            fields.mistake("MinValue", "a range needs MinValue and MaxValue")
        return None
    if scaling == REVERSED and (read == fields.integer or low < 0 or high >= 1):
        message = "SageMaker has it only for continuous ranges from 0 to below 1"
        fields.mistake("ScalingType", message, "use Linear or Logarithmic")
        return None
    scale = {} if scaling == LINEAR else {"scale": SCALES[scaling]}
    type_ = "int" if kind == "IntegerParameterRanges" else "float"
    return {"type": type_, "min": low, "max": high, **scale}


def read_values(texts: list[str], *, decoded: bool) -> list[Value]:
    """Return the values of a categorical range: numbers only if all texts are numbers."""
    if not decoded:
        return parse_texts(texts)
    values = [decode(text) for text in texts]
    if all(isinstance(value, str) for value in values):
        return parse_texts([str(value) for value in values])
    if all(isinstance(value, int | float | bool) for value in values):
        return values
    return [script_argument(text) for text in texts]


def read_static(static: Mapping[str, Any], *, decoded: bool) -> dict[str, Value]:
    """Return static hyperparameters as constants.

    A number is one that prints back as the same text; with ``decoded``, what the script gets.
    """
    constants: dict[str, Value] = {}
    for name, value in static.items():
        text = value if isinstance(value, str) else json.dumps(value)
        found = decode(text) if decoded else text
        constants[name] = parse_text(found) if isinstance(found, str) else found
    return constants


def decode(text: str) -> Value:
    """Return the value that a script gets: text for a list, a map, null or NaN."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) or is_list(value) or value is None:
        return script_argument(text)
    if isinstance(value, float) and value - value != 0:
        return script_argument(text)
    scalar: Value = value
    return scalar
