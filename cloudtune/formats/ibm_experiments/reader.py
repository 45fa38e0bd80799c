"""Reads an experiment of IBM's API v3 as studies."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ibm_experiments.names import (
    HOME,
    LISTS,
    METHODS,
    OPTIMIZATION,
    OTHER_METHODS,
    RANGES,
    REFERENCES,
    SECRETS,
    STORAGES,
    VALUES,
)
from cloudtune.formats.model import StudyDraft, compact, read_named, report_call
from cloudtune.formats.ranges import read_power
from cloudtune.formats.values import describe_value, parse_number, rising_numbers, unique_values


def read_experiment(document: Fields) -> Sequence[StudyDraft]:
    """Return a study for each training reference that has a search, or for a search alone."""
    if OPTIMIZATION in document:
        draft = _Search(document).draft()
        if rest := document.rest():
            draft.data["providers"] = {HOME: {"native": {REFERENCES: [rest]}}}
        return [draft]
    if "entity" in document:
        if document.take("metadata") is not None:
            document.note("metadata", "left out what the service adds")
        experiment = document.map("entity")
    else:
        experiment = document
    references = experiment.maps(REFERENCES)
    searches = [each for each in references if OPTIMIZATION in each]
    others = [each for each in references if OPTIMIZATION not in each]
    if not searches:
        experiment.mistake(REFERENCES, f"none of them has {OPTIMIZATION}, so nothing is tuned")
        return []
    settings = experiment.map("settings")
    title, description = settings.text("name"), settings.text("description")
    for key in STORAGES:
        connection = experiment.map(key).map("connection")
        for secret in SECRETS:
            if secret in connection:
                connection.drop(secret, "a secret, which a study must not contain")
    kept: list[Json] = []
    for each in others:
        if len(searches) == 1:
            each.note("name", "a training without a search: kept, and part of no study")
            kept.append(each.rest())
        else:
            each.report.drop(each.path, "a training without a search is no study")
    drafts = [_Search(each).draft() for each in searches]
    if len(drafts) > 1:
        experiment.note(REFERENCES, f"{len(drafts)} searches are a study each")
    rests = [each.rest() for each in searches]
    experiment.take(REFERENCES)
    common = {key: value for key, value in experiment.rest().items() if key != REFERENCES}
    for draft, rest, search in zip(drafts, rests, searches, strict=True):
        entry = {**compact(name=search.original.get("name")), **rest}
        native = copy.deepcopy(common)
        if rest or kept:
            native[REFERENCES] = [entry, *kept]
        name = title if len(drafts) == 1 else draft.name or title
        if len(drafts) > 1 and title and name != title:
            native.setdefault("settings", {})["name"] = title
        draft.data |= compact(
            name=name, description=description, providers={HOME: compact(native=native)}
        )
        if not native:
            draft.data.pop("providers", None)
    return drafts


class _Search:
    def __init__(self, reference: Fields) -> None:
        self._reference = reference
        self._search = reference.map(OPTIMIZATION)
        self._data: Json = {}
        self._origins: dict[str, str] = {}

    def draft(self) -> StudyDraft:
        reference = self._reference
        name = reference.peek("name")
        self._method()
        self._data["parameters"] = self._parameters()
        where = reference.peek("training_definition_url") or "the training definition"
        reference.warn(
            "training_definition_url",
            f"the code is in {where}, and no service runs it any more: to run it, name the code "
            "with trial.source and trial.script",
        )
        return StudyDraft(self._data, name if isinstance(name, str) else "", self._origins)

    def _method(self) -> None:
        method = self._search.map("method")
        name = method.word("name")
        if name in OTHER_METHODS:
            method.refuse("name", f"IBM ran only {', '.join(METHODS)}; {name} did not work")
            return
        if name not in METHODS:
            method.mistake("name", f"must be {' or '.join(METHODS)}, {describe_value(name)}")
            return
        if METHODS[str(name)] == "bayesian":
            method.approximate("name", "other services run it as bayesian, with another model")
        self._data["strategy"] = {"name": METHODS[str(name)]}
        self._origins["strategy"] = method.path
        found: dict[str, Any] = {}
        for each in method.maps("parameters", "name"):
            key = str(each.peek("name"))
            if key not in {"objective", "maximize_or_minimize", "num_optimizer_steps"}:
                text = f"kept for IBM: no other service has the setting {key}"
                each.note("name", text)
                continue
            values = [each.word(value) for value in VALUES if value in each]
            each.take("name")
            found[key] = values[0] if values else None
            self._origins[key] = each.path
        self._objective(method, found)
        steps = found.get("num_optimizer_steps")
        number = parse_number(steps)
        if steps is not None and (number is None or number < 1 or number != int(number)):
            text = f"num_optimizer_steps must be a whole number above 0, not {steps!r}"
            method.mistake("parameters", text)
        elif number is not None:
            self._data["limits"] = {"max_trials": int(number)}

    def _objective(self, method: Fields, found: Json) -> None:
        metric, goal = found.get("objective"), found.get("maximize_or_minimize")
        if not isinstance(metric, str) or not metric:
            method.mistake("parameters", "objective is missing, the metric to optimize")
            return
        if goal not in {"maximize", "minimize"}:
            text = f"maximize_or_minimize must be maximize or minimize, {describe_value(goal)}"
            method.mistake("parameters", text)
            return
        self._data["objective"] = {"metric": metric, "goal": goal}
        method.report.warn(
            self._origins.pop("objective"),
            "IBM read this metric from a file that the script writes, such as val_dict_list.json: "
            f"elsewhere add {report_call(metric)} to the script",
        )

    def _parameters(self) -> Json:
        if not self._search.original.get("hyper_parameters"):
            self._search.mistake("hyper_parameters", "a search needs parameters")
        return read_named(self._search, "hyper_parameters", "name", _parameter, self._origins)


def _parameter(fields: Fields) -> Json | None:
    keys = [key for key in (*RANGES, *LISTS) if fields.peek(key) not in (None, [], {})]
    if len(keys) != 1:
        text = f"a parameter needs one of {', '.join((*RANGES, *LISTS))}"
        fields.mistake(keys[1] if keys else "name", text)
        return None
    (key,) = keys
    if key in RANGES:
        return _range(fields.map(key), RANGES[key])
    values = fields.items(key)
    if LISTS[key] is str:
        return {"type": "categorical", "values": unique_values(list(map(str, values)))}
    numbers = rising_numbers(values)
    whole = LISTS[key] is int
    if numbers is None or (whole and any(isinstance(each, float) for each in numbers)):
        fields.mistake(key, f"the values must be {'whole ' if whole else ''}numbers")
        return None
    return {"type": "discrete", "values": numbers if whole else list(map(float, numbers))}


def _range(space: Fields, kind: str) -> Json | None:
    read = space.integer if kind == "int" else space.number
    low, high, step = read("min_value"), read("max_value"), read("step")
    for key, value in (("min_value", low), ("max_value", high)):
        if value is None and space.original.get(key) is None:
            space.mistake(key, "a range needs min_value and max_value")
    for key in space.original.keys() - {"min_value", "max_value", "step", "power"}:
        space.warn(key, "is no key of a range: kept, but without meaning")
    if low is None or high is None:
        return None
    step = step or None
    if "power" in space:
        return read_power(space, "power", low, high, step, whole=kind == "int")
    if kind == "float" and step == 1 and high - low < 1:
        hint = "IBM's Python package writes step 1 where none is given; name the step"
        space.mistake("step", f"step 1 leaves only the value {low} of the range", hint)
        return None
    extra = {"step": step} if step is not None and (kind == "float" or step != 1) else {}
    return {"type": kind, "min": low, "max": high, **extra}
