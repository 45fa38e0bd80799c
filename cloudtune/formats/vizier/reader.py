"""Reads a study configuration of Vizier as a study."""

from __future__ import annotations

from typing import Any

from cloudtune.dialect.words import inverse
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import StudyDraft, compact
from cloudtune.formats.values import parse_number
from cloudtune.formats.vizier.names import (
    ALGORITHM_NUMBERS,
    ALGORITHMS,
    DEFAULT,
    GOAL_NUMBERS,
    GOALS,
    HALTON,
    HOME,
    RULES,
    SELECTIONS,
    SPEC,
    camel_case,
    restore_paths,
)
from cloudtune.formats.vizier.parameters import read_parameter_specs
from cloudtune.study.constraints import quote_name
from cloudtune.study.quantities import format_duration
from cloudtune.study.yaml_reader import is_map

_OUTPUT = ("name", "state", "createTime", "inactiveReason", "parent")
_DEFAULT_VALUE = "kept for Vizier; elsewhere, name it in initial_trials to start with it"


def read_study(document: Fields) -> StudyDraft:
    """Return the study of a Study, a StudySpec, or a call that creates a Study."""
    names: dict[str, str] = {}
    whole: Json = camel_case(dict(document.original), names)
    study = Fields(whole, document.report)
    call = "study" in whole
    if call:
        study = study.map("study")
    key = next((key for key in (SPEC, "studyConfig") if key in study), None)
    spec = study.map(key) if key else study
    data: Json = {}
    origins: dict[str, str] = {}
    if key:
        data["name"] = study.text("displayName")
        added = [each for each in _OUTPUT if study.take(each) is not None]
        if added:
            study.note(added[0], f"left out what the service adds: {', '.join(added)}")
    _read_spec(spec, data, origins)
    document.report.warn(
        spec.path or "parameters",
        "a study of Vizier has no code: name it with trial.script to run it",
    )
    if "max_trials" not in data["limits"]:
        text = "Vizier counts no trials: name limits.max_trials"
        document.report.warn(spec.path or "parameters", text)
    rest, inner = (study.rest(), spec.rest()) if key else ({}, spec.rest())
    if key:
        rest.pop(key, None)
    native = {**rest, **compact(**{SPEC: inner})}
    data["providers"] = {HOME: {"native": native}} if native else {}
    draft = StudyDraft(data, "", origins)
    draft.origins = restore_paths(document.report, draft.origins, names)
    return draft


def _read_spec(spec: Fields, data: Json, origins: dict[str, str]) -> None:
    data["parameters"] = read_parameter_specs(spec, origins, _DEFAULT_VALUE, external=True)
    selection = _enum(spec, "measurementSelectionType", SELECTIONS)
    select = selection == SELECTIONS[2]
    if select:  # the open source Vizier has no such field, so an export writes it only then
        spec.put("measurementSelectionType", selection)
    objectives: list[Json] = []
    constraints: list[str] = []
    for fields in spec.maps("metrics", "metricId"):
        metric, goal = fields.text("metricId"), _goal(fields)
        if not metric:
            fields.mistake("metricId", "a metric needs an id")
        elif "safetyConfig" in fields and goal:
            safety = fields.map("safetyConfig")
            sign = "<=" if goal == "minimize" else ">="
            origins[f"constraints.{len(constraints)}"] = fields.at("safetyConfig")
            limit = safety.number("safetyThreshold") or 0
            constraints.append(f"{quote_name(metric)} {sign} {limit}")
            if safety.rest():
                safety.note("desiredMinSafeTrialsFraction", "kept for Vizier")
        elif goal:
            best = {"select": "best"} if select else {}
            objectives.append({"metric": metric, "goal": goal, **best})
    if not objectives:
        spec.mistake("metrics", "a study needs a metric to optimize")
    origins["objective"] = spec.at("metrics")
    data["objective"] = objectives if len(objectives) > 1 else (objectives or [{}])[0]
    if constraints:
        data["constraints"] = constraints
    data["strategy"] = _strategy(spec)
    origins["strategy"] = spec.at("algorithm")
    _stopping(spec, data, origins)


def _enum(spec: Fields, key: str, values: tuple[str, ...]) -> str:
    """Take the value of an enum, by name or by number; the first is the default."""
    value = spec.word(key)
    if value is None or value == "":
        return values[0]
    name = dict(enumerate(values)).get(value) if isinstance(value, int) else value
    if name not in values:
        spec.mistake(key, f"unknown value {value!r}", f"use {', '.join(values)}")
        return values[0]
    return str(name)


def _goal(fields: Fields) -> str | None:
    value = fields.word("goal")
    goal = GOAL_NUMBERS.get(value) if isinstance(value, int) else value
    if goal in {None, "", "GOAL_TYPE_UNSPECIFIED"} and value in {None, "", 0, goal}:
        fields.note("goal", "absent, so Vizier's default MAXIMIZE")
        goal = inverse(GOALS, "maximize")
    if goal not in GOALS:
        fields.mistake("goal", f"must be MAXIMIZE or MINIMIZE, not {value!r}")
        return None
    return GOALS[str(goal)]


def _strategy(spec: Fields) -> Json:
    written = spec.word("algorithm")
    if written is None or written == "":
        return {"name": "bayesian"}
    name: Any = written
    if isinstance(written, int):
        name = ALGORITHM_NUMBERS.get(written, written)
    if name not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        spec.refuse("algorithm", f"a study has no algorithm {name}; it has {known}")
        return {"name": "bayesian"}
    strategy = dict(ALGORITHMS[str(name)])
    first = next(each for each, known in ALGORITHMS.items() if known == strategy)
    if name != first:
        spec.put("algorithm", name)
        if name != DEFAULT:
            spec.approximate("algorithm", f"other services run it as {' '.join(strategy.values())}")
    elif name == HALTON:
        spec.approximate("algorithm", "Vizier takes Halton's sequence, others that of Sobol")
    return strategy


def _stopping(spec: Fields, data: Json, origins: dict[str, str]) -> None:
    for key, rule in RULES.items():
        found: Any = spec.peek(key)
        if is_map(found):
            data["early_stopping"] = rule
            origins["early_stopping"] = spec.at(key)
            if not found:
                spec.take(key)
    for key in ("decayCurveStoppingSpec", "convexAutomatedStoppingSpec"):
        if key in spec:
            spec.approximate(key, "kept for Vizier: a study has no such rule")
    limits: Json = {}
    if "studyStoppingConfig" in spec:
        config = spec.map("studyStoppingConfig")
        for key, field in (("maxNumTrials", "max_trials"), ("maxNumTrialsNoProgress", "patience")):
            value = config.peek(key)
            number = config.integer(key)
            if value is not None:
                config.put(key, value)
            limits[field] = number or None
            origins[f"limits.{field}"] = config.at(key)
        duration = config.map("maximumRuntimeConstraint").peek("maxDuration")
        seconds = parse_number(str(duration).removesuffix("s")) if duration else None
        if seconds and seconds > 0:
            limits["timeout"] = format_duration(float(seconds))
            origins["limits.timeout"] = config.at("maximumRuntimeConstraint")
    data["limits"] = compact(**limits)
