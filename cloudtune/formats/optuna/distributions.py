"""Optuna's distributions, as ``distribution_to_json`` writes them, and parameters of a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cloudtune.dialect.ranges import choice_values
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.optuna.names import DISTRIBUTIONS
from cloudtune.formats.ranges import take_choice
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter
from cloudtune.study.yaml_reader import is_map

_SHORT = {
    "float": "FloatDistribution",
    "int": "IntDistribution",
    "categorical": "CategoricalDistribution",
}
"""The short form that ``json_to_distribution`` reads, too: ``{"type": "float", "low": ...}``."""


def parse_distribution(value: Any) -> Json | None:
    """Return a distribution as a map: the text that Optuna writes, or the map in it.

    Returns:
        A map with name and attributes; None if it is no distribution.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not is_map(value):
        return None
    if "name" not in value and isinstance(value.get("type"), str):
        attributes = {key: each for key, each in value.items() if key != "type"}
        return {"name": _SHORT.get(value["type"], value["type"]), "attributes": attributes}
    return value


def read_distribution(fields: Fields) -> Json | None:
    """Return the parameter of a distribution; None after a mistake or a refusal.

    Args:
        fields: A map with the name of the class and its attributes, all of which are taken.
    """
    name, attributes = fields.text("name"), fields.map("attributes")
    if name not in DISTRIBUTIONS:
        hint = f"Optuna has {', '.join(sorted(DISTRIBUTIONS))}"
        fields.mistake("name", f"unknown distribution {name!r}" if name else "is missing", hint)
        return None
    if name == "CategoricalDistribution":
        choices = attributes.items("choices")
        if not choices:
            attributes.mistake("choices", "a distribution needs at least one choice")
            return None
        return take_choice(attributes, "choices", choices)
    return _range(name, attributes)


def _range(name: str, attributes: Fields) -> Json | None:
    is_int = name.startswith("Int")
    read = attributes.integer if is_int else attributes.number
    low, high = read("low"), read("high")
    step = read("q") if name.startswith("Discrete") else read("step")
    is_log = bool(attributes.flag("log")) or "Log" in name
    if name == "IntLogUniformDistribution":
        step = None  # deprecated and without effect
    if attributes.report.problems:
        return None
    if low is None or high is None:
        attributes.mistake("low", "a distribution needs low and high")
    elif low > high:
        attributes.mistake("low", f"{low} is greater than high, {high}")
    elif is_log and low <= 0:
        attributes.mistake("low", f"a log scale needs a low value above 0, not {low}")
    elif step is not None and step <= 0:
        attributes.mistake("step", f"must be greater than 0, not {step}")
    elif is_log and step is not None and not (is_int and step == 1):
        attributes.mistake("step", "Optuna has no step on a log scale")
    else:
        spacing = {} if step is None or (is_int and step == 1) or low == high else {"step": step}
        scale = {"scale": "log"} if is_log else {}
        return {
            "type": "int" if is_int else "float",
            "min": low,
            "max": high,
            **scale,
            **spacing,
        }
    return None


def merge_distributions(parameters: Sequence[Json]) -> tuple[Json | None, str]:
    """Return one parameter with the values of several, and how it differs from them.

    Optuna lets the bounds of a parameter change between trials, but neither its class nor its
    scale. The parameter is None if they do not agree.
    """
    first, *others = parameters
    if all(each == first for each in others):
        return first, ""
    kinds = {(each["type"], each.get("scale")) for each in parameters}
    if len(kinds) > 1 or "min" not in first:
        return None, ""
    bounds = {
        "min": min(each["min"] for each in parameters),
        "max": max(each["max"] for each in parameters),
    }
    merged = {key: value for key, value in first.items() if key != "step"} | bounds
    steps: set[int | float | None] = {each.get("step") for each in parameters}
    if len(steps) == 1 and None not in steps and len({each["min"] for each in parameters}) == 1:
        merged["step"] = steps.pop()
        steps = set()
    lost = " without a step" if steps - {None} else ""
    return merged, f"the bounds differ between trials: the study has all values{lost}"


def write_distribution(parameter: Parameter) -> Json:
    """Return the distribution of a fitted parameter, with all attributes."""
    if not isinstance(parameter, FloatParameter | IntParameter):
        choices = choice_values(parameter)
        return {"name": "CategoricalDistribution", "attributes": {"choices": choices}}
    is_log = parameter.scale == "log"
    if isinstance(parameter, IntParameter):
        attributes: Json = {"log": is_log, "step": parameter.step or 1}
        attributes |= {"low": parameter.min, "high": parameter.max}
        return {"name": "IntDistribution", "attributes": attributes}
    step = None if parameter.step is None else float(parameter.step)
    bounds = {"low": float(parameter.min), "high": float(parameter.max)}
    return {"name": "FloatDistribution", "attributes": {"step": step, **bounds, "log": is_log}}
