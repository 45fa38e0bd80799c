"""Reads a study of AI Platform Optimizer, in which a parameter has its children."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.ai_platform.names import (
    HOME,
    STUDY,
    read_algorithm,
    read_goal,
    read_scale,
)
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import StudyDraft, finish_draft
from cloudtune.formats.values import parse_number, rising_numbers, unique_values
from cloudtune.formats.vizier.parameters import read_bounds
from cloudtune.study.yaml_reader import is_map

_SPECS = {
    "DOUBLE": ("float", "doubleValueSpec"),
    "INTEGER": ("int", "integerValueSpec"),
    "CATEGORICAL": ("categorical", "categoricalValueSpec"),
    "DISCRETE": ("discrete", "discreteValueSpec"),
}
_PARENTS = ("parentCategoricalValues", "parentDiscreteValues", "parentIntValues")


def read_study(document: Fields) -> StudyDraft:
    """Return the study of a ``studyConfig``."""
    config = document.map(STUDY)
    origins: dict[str, str] = {}
    data: Json = {"name": document.text("displayName")}
    for key in ("name", "state", "createTime"):
        document.take(key)
    found: dict[str, list[Json]] = {}
    for fields in config.maps("parameters", "parameter"):
        _read(fields, None, found, origins)
    data["parameters"] = {name: each if len(each) > 1 else each[0] for name, each in found.items()}
    if not found and not document.report.problems:
        config.mistake("parameters", "a study needs parameters")
    objectives: list[Json] = []
    for fields in config.maps("metrics", "metric"):
        goal, metric = read_goal(fields), fields.text("metric")
        if not metric:
            fields.mistake("metric", "a metric needs a name")
        elif goal:
            objectives.append({"metric": metric, "goal": goal})
    if not objectives:
        config.mistake("metrics", "a study needs a metric to optimize")
    data["objective"] = objectives if len(objectives) > 1 else (objectives or [{}])[0]
    origins["objective"] = config.at("metrics")
    data["strategy"] = read_algorithm(config)
    stopping = config.map("automatedStoppingConfig")
    if is_map(stopping.peek("medianAutomatedStoppingConfig")):
        data["early_stopping"] = "median"
        if not stopping.peek("medianAutomatedStoppingConfig"):
            stopping.take("medianAutomatedStoppingConfig")
    elif is_map(stopping.peek("decayCurveStoppingConfig")):
        stopping.approximate("decayCurveStoppingConfig", "a study has no such rule")
    document.report.warn(
        STUDY, "a study of the Optimizer names no code and no limits: add trial and limits"
    )
    return finish_draft(document, data, origins, HOME)


def _read(
    fields: Fields,
    parent: tuple[str, Json] | None,
    found: dict[str, list[Json]],
    origins: dict[str, str],
) -> None:
    name, kind = fields.text("parameter"), fields.word("type")
    if not name or kind not in _SPECS:
        text = f"a parameter needs a name, and a type of {', '.join(_SPECS)}"
        fields.mistake("type" if name else "parameter", text)
        return
    when = _condition(fields, parent)
    parameter = _parameter(fields, str(kind))
    if parameter is None:
        return
    variant = {**parameter, **({"when": when} if when else {})}
    variants = found.setdefault(name, [])
    if variants and not when:
        fields.mistake("parameter", f"{name} is defined twice without conditions")
    if variant not in variants:
        variants.append(variant)
    origins.setdefault(f"parameters.{name}", fields.path)
    for child in fields.maps("childParameterSpecs"):
        _read(child, (name, parameter), found, origins)


def _condition(fields: Fields, parent: tuple[str, Json] | None) -> Json | None:
    if parent is None:
        return None
    keys = [key for key in _PARENTS if key in fields]
    if len(keys) != 1:
        fields.mistake(_PARENTS[0], "a child needs the values of its parent")
        return None
    values: list[Any] = fields.map(keys[0]).items("values")
    name, definition = parent
    if definition["type"] == "float":
        fields.mistake(keys[0], "a DOUBLE cannot be the parent of a condition")
        return None
    if definition["type"] == "categorical":
        return {name: [str(value) for value in values]}
    numbers = [number for value in values if (number := parse_number(value)) is not None]
    if len(numbers) < len(values):
        fields.mistake(keys[0], "the values must be numbers")
        return None
    return {name: [int(number) if number == int(number) else number for number in numbers]}


def _parameter(fields: Fields, kind: str) -> Json | None:
    type_, key = _SPECS[kind]
    if key not in fields and kind not in {"DOUBLE", "INTEGER"}:
        fields.mistake(key, f"a {kind} parameter needs values here")
        return None
    spec = fields.map(key)
    if type_ == "categorical":
        fields.take("scaleType")
        return {"type": type_, "values": unique_values(list(map(str, spec.items("values"))))}
    scale = read_scale(fields)
    if type_ == "discrete":
        numbers = rising_numbers(spec.items("values"))
        if not numbers:
            spec.mistake("values", "a DISCRETE parameter needs numbers")
            return None
        return {"type": type_, "values": numbers, **scale}
    bounds = read_bounds(spec, whole=type_ == "int")
    return None if bounds is None else {"type": type_, **bounds, **scale}
