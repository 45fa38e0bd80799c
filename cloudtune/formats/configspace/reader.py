"""Reads a configuration space of ConfigSpace as a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cloudtune.formats.configspace.conditions import (
    Conditions,
    UnsupportedConditionError,
    When,
    write_condition,
)
from cloudtune.formats.configspace.forbidden import to_constraint
from cloudtune.formats.configspace.names import FORMAT_VERSION, HOME, RANGES, REFUSED, TYPES
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import StudyDraft, finish_draft, read_named
from cloudtune.formats.ranges import keep_whole, list_definition, take_choice
from cloudtune.formats.values import choice, parse_number, rising_numbers, typed
from cloudtune.study.yaml_reader import is_list, is_map

_CLAUSES = frozenset(["EQUALS", "IN"])
_WEIGHTS = ("weights", "probabilities")
"""The key of the weights of a choice, now and in versions before 0.6."""


class SpaceReader:
    """Reads one space. Create it with the whole document."""

    def __init__(self, document: Fields) -> None:
        self._document = document
        self._constants: Json = {}
        self._origins: dict[str, str] = {}
        self._parameters: Json = {}
        self.constraints: dict[int, str] = {}
        """The constraints by the index of the forbidden clause that they are."""

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        name = document.text("name")
        self._parameters = read_named(
            document, "hyperparameters", "name", self._parameter, self._origins
        )
        if not document.original.get("hyperparameters"):
            document.mistake("hyperparameters", "a space needs hyperparameters")
        if not document.report.problems:
            self._forbid_all(combinations=False)
            self._conditions()
            self._forbid_all(combinations=True)
        document.take("python_module_version")
        if document.peek("format_version") == FORMAT_VERSION:
            document.take("format_version")
        if not document.peek("forbiddens"):
            document.take("forbiddens")
        document.warn("", "a space alone: add objective, strategy and limits")
        data: Json = {
            "name": name,
            "parameters": self._parameters,
            "constants": self._constants,
            "constraints": list(self.constraints.values()),
        }
        if not self.constraints:
            del data["constraints"]
        return finish_draft(document, data, self._origins, HOME)

    def _parameter(self, fields: Fields) -> Json | None:
        kind = str(fields.word("type"))
        _default(fields, kind)
        if kind in REFUSED:
            fields.refuse("type", f"a study has no {REFUSED[kind]} distributions")
            return None
        if kind in RANGES:
            return _range(kind, fields)
        if kind == "categorical":
            return _categorical(fields)
        if kind == "ordinal":
            return _ordinal(fields)
        if kind in TYPES:
            self._constant(fields)
            return None
        hint = f"ConfigSpace has {', '.join(sorted(TYPES))}"
        fields.mistake("type", f"unknown type {kind!r}", hint)
        return None

    def _constant(self, fields: Fields) -> None:
        value = fields.take("value")
        if is_map(value) or is_list(value) or value is None:
            fields.refuse("value", "a study has only strings, numbers and booleans as constants")
        else:
            self._constants[str(fields.identity)] = value

    def _conditions(self) -> None:
        document = self._document
        conditions = [each for each in document.items("conditions") if is_map(each)]
        children = {str(each.get("child")) for each in conditions}
        plain = {key: dict(value) for key, value in self._parameters.items()}
        plain |= {key: choice([value]) for key, value in self._constants.items()}
        reader = Conditions(plain, children)
        found: dict[str, list[list[When]]] = {}
        kept: list[Json] = []
        for index, condition in enumerate(conditions):
            path = f"{document.at('conditions')}.{index}"
            child = condition.get("child")
            if not isinstance(child, str) or child not in plain:
                document.report.mistake(path, f"the child {child!r} is not a parameter")
                continue
            try:
                alternatives = reader.read(condition)
            except UnsupportedConditionError as error:
                document.report.refuse(path, f"a study cannot express this condition: {error}")
                continue
            found.setdefault(child, []).append(alternatives)
            if write_condition(child, alternatives[0]) != condition:
                kept.append(condition)
        for child, parts in found.items():
            self._add_condition(child, reader.all_of(parts))
        if kept:
            document.put("conditions", kept)

    def _add_condition(self, child: str, alternatives: Sequence[When]) -> None:
        if child in self._constants:
            keep_whole(self._entry(child))
            self._parameters[child] = choice([self._constants.pop(child)])
        definitions = [{**self._parameters[child], "when": when} for when in alternatives]
        self._parameters[child] = definitions if len(definitions) > 1 else definitions[0]

    def _entry(self, name: str) -> Fields:
        entries = self._document.maps("hyperparameters", "name")
        return next(each for each in entries if each.identity == name)

    def _forbid_all(self, *, combinations: bool) -> None:
        """Leave out single values before the conditions are read, and combinations after that."""
        document = self._document
        clauses: Any = document.peek("forbiddens")
        for index, clause in enumerate(clauses if is_list(clauses) else ()):
            if is_map(clause) and (str(clause.get("type")) not in _CLAUSES) == combinations:
                reason = self._forbid(clause)
                path = f"{document.at('forbiddens')}.{index}"
                is_empty = reason == f"no value of {clause.get('name')} is left"
                if reason and not is_empty and (text := to_constraint(clause, self._kinds())):
                    self._origins[f"constraints.{len(self.constraints)}"] = path
                    self.constraints[index] = text
                elif reason:
                    document.report.refuse(path, f"a study cannot express it: {reason}")

    def _kinds(self) -> dict[str, str]:
        entries = self._parameters.items()
        return {name: (e[0] if is_list(e) else e)["type"] for name, e in entries}

    def _forbid(self, clause: Json) -> str:
        """Leave out the values of a clause, and return why that is impossible; empty if it is not.

        A combination of the values of two choices becomes two definitions of the one whose name
        comes later, so that an export finds it again whatever the order of the parameters.
        """
        kind, parts = str(clause.get("type")), clause.get("clauses")
        if kind in _CLAUSES:
            parts = [clause]
        elif kind != "AND" or not is_list(parts):
            return f"{kind} compares parameters"
        if not all(is_map(part) and str(part.get("type")) in _CLAUSES for part in parts):
            return "only EQUALS and IN are possible"
        names = [str(part.get("name")) for part in parts]
        if not all(self._is_plain_choice(name) for name in names) or len(set(names)) < len(names):
            return "only values of choices without a condition can be left out"
        if len(parts) > 2:
            return "more than two parameters"
        return self._leave_out(sorted(parts, key=lambda part: str(part["name"])))

    def _is_plain_choice(self, name: str) -> bool:
        definition = self._parameters.get(name)
        return is_map(definition) and "when" not in definition and definition["type"] in _CHOICES

    def _leave_out(self, parts: Sequence[Json]) -> str:
        name = parts[-1]["name"]
        definition = self._parameters[name]
        kept = _without(definition, parts[-1])
        keep_whole(self._entry(name))
        if len(parts) == 1:
            if kept is None:
                return f"no value of {name} is left"
            self._parameters[name] = kept
            return ""
        parent = parts[0]["name"]
        rest = _without(self._parameters[parent], parts[0])
        forbidden = [v for v in _values(self._parameters[parent]) if v not in _values(rest)]
        definitions: list[Json] = []
        if rest is not None:
            definitions.append({**definition, "when": {parent: _values(rest)}})
        if kept is not None and forbidden:
            definitions.append({**kept, "when": {parent: forbidden}})
        elif kept is None:
            return f"no value of {name} is left for some of {parent}"
        self._parameters[name] = definitions if len(definitions) > 1 else definitions[0]
        return ""


_CHOICES = frozenset(["categorical", "bool", "discrete"])


def _values(definition: Json | None) -> list[Any]:
    if definition is None:
        return []
    return [True, False] if definition["type"] == "bool" else list(definition["values"])


def _without(definition: Json, clause: Json) -> Json | None:
    """Return a choice without the values of a clause; None if none is left."""
    values = clause["values"] if is_list(clause.get("values")) else [clause.get("value")]
    forbidden = set(map(repr, map(typed, values)))
    kept = [v for v in _values(definition) if repr(typed(v)) not in forbidden]
    if not kept:
        return None
    if definition["type"] == "bool":
        return choice(kept)
    return {**definition, "values": kept}


def _default(fields: Fields, kind: str) -> None:
    """Take the default value if ConfigSpace would choose the same one itself."""
    key = "default" if "default" in fields.original else "default_value"
    value, (low, high) = fields.peek(key), map(parse_number, map(fields.peek, ("lower", "upper")))
    values = fields.peek("choices" if kind == "categorical" else "sequence")
    number = parse_number(value)
    if kind in RANGES and number is not None and low is not None and high is not None:
        is_log = fields.peek("log") and low > 0 and high > 0
        middle = math.sqrt(low) * math.sqrt(high) if is_log else low / 2 + high / 2
        is_automatic = math.isclose(number, middle, rel_tol=1e-12)
    else:
        has_weights = any(each in fields for each in _WEIGHTS)
        is_automatic = is_list(values) and values[:1] == [value] and not has_weights
    if is_automatic:
        fields.take(key)
    elif key in fields:
        fields.note(key, "kept for ConfigSpace: add it to initial_trials to try it first elsewhere")


def _range(kind: str, fields: Fields) -> Json | None:
    is_int = kind == "uniform_int"
    read = fields.integer if is_int else fields.number
    low, high = read("lower"), read("upper")
    is_log = bool(fields.flag("log"))
    if fields.report.problems:
        return None
    if low is None or high is None:
        fields.mistake("lower", "a range needs lower and upper")
        return None
    scale = {"scale": "log"} if is_log else {}
    definition: Json = {"type": RANGES[kind], "min": low, "max": high, **scale}
    step = fields.number("q")
    if step is None:
        return definition
    if step <= 0 or (is_int and step != int(step)):
        fields.mistake("q", f"must be greater than 0, not {step}")
        return None
    fields.put("q", step)
    stepped = definition | {"step": int(step) if is_int else step}
    if not is_log or (is_int and step == 1):
        return stepped
    return list_definition(stepped, fields, "q")


def _categorical(fields: Fields) -> Json | None:
    values = fields.items("choices")
    if not values:
        fields.mistake("choices", "a parameter needs at least one choice")
        return None
    for key in _WEIGHTS:
        if key in fields:
            reason = "kept for ConfigSpace; a study has no weights: elsewhere, all values are alike"
            fields.approximate(key, reason)
    return take_choice(fields, "choices", values)


def _ordinal(fields: Fields) -> Json | None:
    values = fields.items("sequence")
    if not values:
        fields.mistake("sequence", "a parameter needs at least one value")
        return None
    are_numbers = not any(isinstance(value, str | bool) for value in values)
    if are_numbers and rising_numbers(values) == values:
        return {"type": "discrete", "values": values}
    definition = take_choice(fields, "sequence", values)
    if definition is not None:
        keep_whole(fields)
        fields.approximate("sequence", "a study has no order of such values")
    return definition
