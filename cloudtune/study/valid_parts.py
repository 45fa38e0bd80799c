"""Read the valid parts of a study that has mistakes, so that one pass reports all of them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.study.messages import (
    Mistake,
    collect_mistakes,
    describe_mistakes,
    type_names,
)
from cloudtune.study.study import Study
from cloudtune.study.suggestions import closest_match
from cloudtune.study.yaml_reader import KeyPath, is_map

MAX_PROBLEMS = 200


class PartialStudy(NamedTuple):
    """The valid parts of a study, and the problems of the others."""

    study: Study
    invalid_fields: frozenset[str]
    """The paths of the fields that were removed or replaced."""
    problems: list[Problem]
    unreported: int
    """How many mistakes were found beyond the first `MAX_PROBLEMS` of a pass."""


def read_valid_parts(data: dict[str, Any], unreadable: Sequence[KeyPath]) -> PartialStudy:
    """Return the valid parts of a study, and a problem for each invalid field.

    Removing a field can make another one incomplete, so validation repeats until nothing is
    invalid. Only the first pass reports mistakes. Later passes report those in parameters whose
    misspelled type it corrected. The data is not changed; its fields in `unreadable` hold None,
    because their YAML could not be read.
    """
    invalid_fields: set[str] = set()
    problems: list[Problem] = []
    unreported = 0
    mistakes = [Mistake(keys) for keys in unreadable]
    corrections: dict[KeyPath, _TypeCorrection] | None = None
    while True:
        if mistakes:
            data = deepcopy(data)
        for mistake in sorted(mistakes, key=lambda m: _sort_key(m.keys), reverse=True):
            correction = (corrections or {}).get(mistake.keys[:-1])
            if correction and mistake.keys[-1] == "type":
                definition = _value_at(data, mistake.keys[:-1])
                del definition[correction.key]
                definition["type"] = correction.type
            else:
                _remove(data, mistake, invalid_fields)
        try:
            study = Study.model_validate(data, context={"parts_only": True})
        except ValidationError as error:
            mistakes = collect_mistakes(error, data)
            if corrections is None:
                corrections = _correct_types(mistakes[:MAX_PROBLEMS], data)
                misspelled = [c.misspelled_key for c in corrections.values() if c.misspelled_key]
                new = [*mistakes, *misspelled]
            else:
                new = [
                    m
                    for m in mistakes
                    if any(m.keys[:n] in corrections for n in range(len(m.keys)))
                ]
            new = [mistake for mistake in new if mistake.path not in invalid_fields]
            problems += describe_mistakes(new[:MAX_PROBLEMS], Study)
            unreported += len(new[MAX_PROBLEMS:])
        else:
            return PartialStudy(study, frozenset(invalid_fields), problems, unreported)


@dataclass(frozen=True)
class _TypeCorrection:
    """The type that a definition with a missing or misspelled type probably has."""

    key: str
    """The key that holds the type: ``type``, or a misspelling of it."""
    type: str
    misspelled_key: Mistake | None


def _correct_types(mistakes: Sequence[Mistake], data: Any) -> dict[KeyPath, _TypeCorrection]:
    """Return the corrections that can be guessed, keyed by the place of the definition."""
    corrections: dict[KeyPath, _TypeCorrection] = {}
    for mistake in mistakes:
        details = mistake.details[0] if mistake.details else {"type": ""}
        if not details["type"].startswith("union_tag"):
            continue
        keys, loc = mistake.keys[:-1], details["loc"]
        definition = _value_at(data, keys)
        if not is_map(definition):
            continue
        key, misspelled_key = "type", None
        if mistake.missing:
            similar = next((word for word in definition if closest_match(word, ["type"])), None)
            if similar is None:
                continue
            key = similar
            details = {"type": "extra_forbidden", "loc": (*loc, key)}
            misspelled_key = Mistake((*keys, key), details=[details])
        value = definition[key]
        name = closest_match(value, type_names(Study, loc)) if isinstance(value, str) else None
        if name:
            corrections[keys] = _TypeCorrection(key, name, misspelled_key)
    return corrections


def _value_at(data: Any, keys: KeyPath) -> Any:
    for key in keys:
        data = data[key]
    return data


def _sort_key(keys: KeyPath) -> tuple[tuple[bool, str | int], ...]:
    # In reverse order, the last item of a list comes first, so that the others keep their place.
    return tuple((isinstance(key, int), key) for key in keys)


def _remove(data: dict[str, Any], mistake: Mistake, invalid_fields: set[str]) -> None:
    keys = mistake.keys[:-1] if mistake.missing else mistake.keys
    if len(keys) > 1 and keys[0] == "parameters" and not mistake.is_unknown_key:
        _replace_definition(data["parameters"], keys, invalid_fields)
        return
    if len(keys) == 2 and keys[0] == "initial_trials":
        data["initial_trials"][keys[1]] = {}
        return
    if not keys:
        data.clear()
        return
    container: Any = data
    *above, last = keys
    for end, key in enumerate(above, start=1):
        if isinstance(container.get(key), list):
            keys, last = keys[:end], key
            break
        container = container.get(key, {})
    container.pop(last, None)
    invalid_fields.add(".".join(map(str, keys)))


def _replace_definition(parameters: Any, keys: KeyPath, invalid_fields: set[str]) -> None:
    """Replace an invalid definition with one that is valid anywhere, since others refer to it."""
    name = cast("str", keys[1])
    invalid_fields.add(f"parameters.{name}")
    several = isinstance(parameters[name], list)
    if several and len(keys) == 2:
        parameters[name] = {"type": "bool"}
        return
    container, key = (parameters[name], keys[2]) if several else (parameters, name)
    field = keys[3:] if several else keys[2:]
    definition = container[key]
    if field and field[0] in {"scale", "step", "when"}:
        definition.pop(field[0], None)
    elif field and isinstance(definition, dict) and "when" in definition:
        container[key] = {"type": "bool", "when": cast("Any", definition)["when"]}
    else:
        container[key] = {"type": "bool"}
