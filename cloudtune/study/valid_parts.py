"""Read the valid parts of a study that has mistakes, so that one pass reports all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.study.messages import (
    Mistake,
    collect_mistakes,
    describe_mistakes,
)
from cloudtune.study.partial_study import MAX_PROBLEMS, PartialStudy
from cloudtune.study.study import Study
from cloudtune.study.suggestions import SUGGESTION, closest_match
from cloudtune.study.yaml_builder import KeyPath
from cloudtune.study.yaml_reader import is_list, is_map


def read_valid_parts(data: dict[str, Any], unreadable: Sequence[KeyPath]) -> PartialStudy:
    """Return the valid parts of a study, and a problem for each invalid field.

    Keys and words with an unambiguous suggestion are corrected first, so that the mistakes below
    them are found, too. A key stays as it is if its value does not fit what is suggested. Then
    invalid fields are removed. That can make other fields incomplete, so
    it repeats until nothing is invalid. The data is not changed; its fields in `unreadable` hold
    None, because their YAML could not be read.
    """
    invalid_fields: set[str] = set()
    problems: list[Problem] = []
    unreported = 0
    renamed: list[tuple[str, str]] = []
    corrected: set[str] = set()
    data = deepcopy(data)
    _remove_all(data, [Mistake(keys) for keys in unreadable], invalid_fields)
    seen = {(keys, False) for keys in unreadable}
    while True:
        study, mistakes = _validate(data)
        new = [*mistakes, *_misspelled_types(mistakes, data)]
        new = [mistake for mistake in new if (mistake.keys, mistake.missing) not in seen]
        new = [mistake for mistake in new if mistake.path not in invalid_fields]
        seen |= {(mistake.keys, mistake.missing) for mistake in new}
        described = describe_mistakes(new[:MAX_PROBLEMS], Study)
        problems += [problem for _, problem in described]
        unreported += len(new[MAX_PROBLEMS:])
        corrections = _fitting(_find_corrections(described, data), data)
        if not corrections:
            break
        for keys, correction in corrections:
            if _correct(data, keys, correction):
                path = ".".join(map(str, keys))
                corrected.add(path)
                if isinstance(correction, _Move):
                    renamed.append((path, ".".join(map(str, correction.keys))))
    while study is None:
        _remove_all(data, mistakes, invalid_fields)
        study, mistakes = _validate(data)
    return PartialStudy(
        study, frozenset(invalid_fields), problems, unreported, renamed, frozenset(corrected)
    )


def _validate(data: dict[str, Any]) -> tuple[Study | None, list[Mistake]]:
    try:
        return Study.model_validate(data, context={"parts_only": True}), []
    except ValidationError as error:
        return None, collect_mistakes(error, data)


def _misspelled_types(mistakes: Sequence[Mistake], data: Any) -> Iterator[Mistake]:
    """Yield the misspelled ``type`` of definitions; without a type, no other key is checked."""
    for mistake in mistakes:
        if not mistake.details or mistake.details[0]["type"] != "union_tag_not_found":
            continue
        keys, loc = mistake.keys[:-1], mistake.details[0]["loc"]
        definition = _value_at(data, keys)
        similar = [word for word in definition if closest_match(word, ["type"])]
        for key in similar[:1]:
            yield Mistake((*keys, key), details=[{"type": "extra_forbidden", "loc": (*loc, key)}])


@dataclass(frozen=True)
class _Move:
    """The keys under which the content of a misspelled key belongs."""

    keys: KeyPath


@dataclass(frozen=True)
class _Word:
    """The word that was probably meant."""

    word: str


def _find_corrections(
    described: Sequence[tuple[Mistake, Problem]], data: Any
) -> list[tuple[KeyPath, _Move | _Word]]:
    """Return what can be corrected without doubt, keyed by the place of the mistake."""
    words: list[tuple[KeyPath, _Move | _Word]] = []
    moves: dict[KeyPath, list[KeyPath]] = {}
    for mistake, problem in described:
        suggestion = SUGGESTION.fullmatch(problem.hint)
        if not suggestion or not mistake.details:
            continue
        if mistake.is_unknown_key:
            target = (*mistake.keys[:-1], *suggestion[1].split("."))
            moves.setdefault(target, []).append(mistake.keys)
        elif mistake.details[0]["type"] in {"literal_error", "union_tag_invalid"}:
            words.append((mistake.keys, _Word(suggestion[1])))
    return [
        *words,
        *(
            (sources[0], _Move(target))
            for target, sources in sorted(moves.items(), key=lambda item: len(item[0]))
            if len(sources) == 1 and _is_free(data, target)
        ),
    ]


def _fitting(
    corrections: Sequence[tuple[KeyPath, _Move | _Word]], data: dict[str, Any]
) -> list[tuple[KeyPath, _Move | _Word]]:
    """Return the corrections, without moves that would make a mistake of their own.

    These are moves of a value of another kind than the key has, and into a block that would then
    lack a key.
    """
    trial = deepcopy(data)
    before = {mistake.keys for mistake in _validate(data)[1]}
    moved = [keys for keys, correction in corrections if _correct(trial, keys, correction)]
    mistakes = _validate(trial)[1] if moved else []
    new = describe_mistakes([each for each in mistakes if each.keys not in before], Study)

    def fits(keys: KeyPath, correction: _Move | _Word) -> bool:
        if isinstance(correction, _Word):
            return True
        target, is_inner = correction.keys, len(correction.keys) > len(keys)
        return not any(
            (each.keys == target and not SUGGESTION.fullmatch(problem.hint) and _is_kind(each))
            or (is_inner and each.missing and each.keys[:-1] == target[:-1])
            for each, problem in new
        )

    return [(keys, correction) for keys, correction in corrections if fits(keys, correction)]


def _is_kind(mistake: Mistake) -> bool:
    """Return whether a value is of another kind than its key has, or an unknown word."""
    kinds = {details["type"] for details in mistake.details}
    return any(kind.endswith("_type") or kind == "literal_error" for kind in kinds)


def _is_free(data: Any, target: KeyPath) -> bool:
    """Return whether a value can be put at a path, with the maps above it if they are missing."""
    value = data
    for key in target:
        if is_map(value) and key not in value:
            return True
        if not is_map(value) and not (is_list(value) and isinstance(key, int)):
            return False
        value = _value_at(value, (key,))
    return False


def _correct(data: Any, keys: KeyPath, correction: _Move | _Word) -> bool:
    """Correct a mistake; return whether that was possible."""
    container = _value_at(data, keys[:-1])
    if isinstance(correction, _Word):
        container[keys[-1]] = correction.word
        return True
    if not _is_free(data, correction.keys):  # another key has moved there
        return False
    target = data
    for key in correction.keys[:-1]:
        if isinstance(key, str):
            target.setdefault(key, {})
        target = target[key]
    target[correction.keys[-1]] = container.pop(keys[-1])
    return True


def _value_at(data: Any, keys: KeyPath) -> Any:
    for key in keys:
        data = data[key]
    return data


def _sort_key(keys: KeyPath) -> tuple[tuple[bool, str | int], ...]:
    # In reverse order, the last item of a list comes first, so that the others keep their place.
    return tuple((isinstance(key, int), key) for key in keys)


def _remove_all(
    data: dict[str, Any], mistakes: Sequence[Mistake], invalid_fields: set[str]
) -> None:
    for mistake in sorted(mistakes, key=lambda m: _sort_key(m.keys), reverse=True):
        _remove(data, mistake, invalid_fields)


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
    if keys[:2] == ("trial", "resources") and len(keys) > 3 and keys[3] != "when":
        definitions = data["trial"].get("resources")
        if is_list(definitions) and is_map(definition := _value_at(definitions, keys[2:3])):
            # Its condition is checked together with those of the others.
            definition.pop(str(keys[3]), None)
            invalid_fields.add(".".join(map(str, keys)))
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
    if name not in parameters:  # removed because of another mistake in it
        return
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
