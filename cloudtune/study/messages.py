"""Turn pydantic's errors into problems with the paths and words of the study file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.study.hints import FOREIGN_KEYS, FOREIGN_VALUES, provider_hint, value_hint
from cloudtune.study.literals import describe_value, truncate
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.yaml_builder import KeyPath
from cloudtune.study.yaml_errors import QUOTE_EXPRESSION
from cloudtune.study.yaml_reader import is_list, is_map

_TYPE_ERRORS = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_WORD = re.compile(r"'([^']*)'")


@dataclass
class Mistake:
    """One invalid, missing or unknown field."""

    keys: KeyPath
    """The path of the field: keys and list positions in the data as written."""
    missing: bool = False
    details: list[Any] = field(default_factory=list[Any])
    """Pydantic's errors for the field; several if the field accepts several types."""

    @property
    def is_unknown_key(self) -> bool:
        """Whether the field is not part of the schema."""
        return any(details["type"] == "extra_forbidden" for details in self.details)

    @property
    def path(self) -> str:
        """The dotted path of the field."""
        return ".".join(map(str, self.keys))


def translate_error(error: ValidationError, data: Any, model: type[BaseModel]) -> list[Problem]:
    """Return a problem, without file and line, for each mistake in data that a model refused."""
    return [problem for _, problem in describe_mistakes(collect_mistakes(error, data), model)]


def describe_mistakes(
    mistakes: Sequence[Mistake], model: type[BaseModel]
) -> list[tuple[Mistake, Problem]]:
    """Return the mistakes, each with its problem.

    A missing key that is present under a misspelled name is reported once, as the misspelling.
    """
    problems = [(mistake, _problem_of(mistake, model)) for mistake in mistakes]
    suggestions = {(m.keys[:-1], problem.hint) for m, problem in problems if m.is_unknown_key}
    return [
        (mistake, problem)
        for mistake, problem in problems
        if not mistake.missing
        or (mistake.keys[:-1], f"did you mean {mistake.keys[-1]}?") not in suggestions
    ]


def collect_mistakes(error: ValidationError, data: Any) -> list[Mistake]:
    """Return the mistakes in the data that a model refused, one for each field, in order."""
    mistakes: dict[tuple[KeyPath, bool], Mistake] = {}
    for details in error.errors(include_url=False):
        missing = details["type"] in {"missing", "union_tag_not_found"}
        loc = details["loc"]
        if details["type"].startswith("union_tag"):
            loc = (*loc, "type")
        keys = _key_path(loc, data, missing=missing)
        if len(keys) == 3 and keys[0] == "parameters" and isinstance(keys[2], int):
            items = data["parameters"][keys[1]]
            if not any(map(is_map, items)):  # one mistake for a list of values
                keys = keys[:2]
                details["input"] = items
        mistakes.setdefault((keys, missing), Mistake(keys, missing)).details.append(details)
    return [
        mistake
        for (keys, _), mistake in mistakes.items()
        if not any((keys[:end], False) in mistakes for end in range(len(keys)))
    ]


def _key_path(loc: Sequence[str | int], data: Any, *, missing: bool) -> KeyPath:
    """Return the path in the data for a location of pydantic, which names union members, too."""
    keys: list[str | int] = []
    value = data
    for key in loc:
        if is_map(value) and key in value:
            value = value[str(key)]
        elif is_list(value) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            continue
        keys.append(key)
    if missing and is_map(value):
        keys.append(loc[-1])
    return tuple(keys)


def _problem_of(mistake: Mistake, model: type[BaseModel]) -> Problem:
    details = next(
        (details for details in mistake.details if details["type"] not in _TYPE_ERRORS),
        mistake.details[0],
    )
    message, hint = _message_and_hint(details, mistake, model)
    return Problem(mistake.path, message, hint)


def _message_and_hint(details: Any, mistake: Mistake, model: type[BaseModel]) -> tuple[str, str]:
    kind: str = details["type"]
    context: Mapping[str, Any] = details.get("ctx", {})
    value = details.get("input")
    match kind:
        case "missing":
            choices = _choices(model, details["loc"])
            return "is missing", _list_choices(choices) or _description(model, details["loc"])
        case "union_tag_not_found":
            return "is missing", _list_choices(type_names(model, details["loc"]))
        case "union_tag_invalid":
            return _unknown_word(context["tag"], _WORD.findall(context["expected_tags"]))
        case "extra_forbidden":
            parents = list(map(_model_fields, _types_at(model, details["loc"][:-1])))
            known = [info.alias or name for fields in parents for name, info in fields.items()]
            return _unknown_key(str(mistake.keys[-1]), known, parents)
        case "literal_error":
            choices = _WORD.findall(context["expected"])
            if not choices:
                return f"must be {context['expected']}, not {describe_value(value)}", ""
            if not isinstance(value, str):
                return f"must be a string, not {describe_value(value)}", _list_choices(choices)
            return _unknown_word(value, choices)
        case "value_error":
            return str(context["error"]), ""
        case "finite_number":
            return "must be a finite number", ""
        case _ if kind in _BOUNDS:
            bound, words = _BOUNDS[kind]
            return f"must be {words} {context[bound]}, not {value}", ""
        case "string_too_short" | "too_short":
            return "must not be empty", ""
        case "string_pattern_mismatch":
            return f"invalid value {value!r}", _description(model, details["loc"])
        case "invalid_key" | "recursion_loop":
            return f"keys must be strings, not {describe_value(value)}", ""
        case _ if kind in _TYPE_ERRORS:
            return _wrong_type(mistake, value)
        case _:
            return str(details["msg"]).lower(), ""


def _unknown_key(
    key: str, known: Sequence[str], parents: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    if key == "<<":
        return "merge keys (<<) are not supported", "write the keys out"
    meant = FOREIGN_KEYS.get(re.sub(r"[\W_]", "", key.lower()), "").split()
    if name := next((name for name in meant if name in known), None):
        return "unknown key", f"did you mean {name}?"
    paths = _paths_in_blocks({key}, parents)
    if len(paths) > 1:
        return "unknown key", f"set {' or '.join(paths)}"
    if len(paths := paths or _paths_in_blocks(meant, parents)) == 1:
        return "unknown key", f"did you mean {paths[0]}?"
    hint = did_you_mean(key, known)
    if not hint and {"providers", "script"} & {*known}:
        hint = provider_hint(key)
    return "unknown key", hint or _list_choices(known)


def _paths_in_blocks(keys: Collection[str], parents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths of one of the keys in the blocks of some parents."""
    paths = [
        f"{block}.{name}"
        for fields in parents
        for block, info in fields.items()
        for kind in _union_members(info.annotation)
        for name in _model_fields(get_args(kind)[0] if get_origin(kind) is list else kind)
        if name in keys
    ]
    return list(dict.fromkeys(paths))


def _wrong_type(mistake: Mistake, value: Any) -> tuple[str, str]:
    kinds = [details["type"] for details in mistake.details]
    types = list(dict.fromkeys(_TYPE_ERRORS[kind] for kind in kinds if kind in _TYPE_ERRORS))
    if "a number" in types and "an integer" in types:
        types.remove("an integer")
    hint = ""
    if isinstance(value, bool | int | float) and "a string" in types:
        hint = f'write it in quotes: "{value}"'
    if _accepted_forms(mistake.keys).startswith("a regular expression"):
        hint = QUOTE_EXPRESSION
    hint = hint or value_hint(mistake.keys, value, types)
    *others, last = types
    accepted = _accepted_forms(mistake.keys)
    expected = accepted or (f"{', '.join(others)} or {last}" if others else last)
    shown = "a list of values" if is_list(value) and accepted else describe_value(value)
    return f"must be {expected}, not {shown}", hint


_FORMS = {
    ("objective",): "a map or a list of maps",
    ("parameters", "*"): "a map or a list of maps",
    ("strategy",): "a name or a map",
    ("early_stopping",): "a rule or a map",
    ("trial", "source"): "a folder or a map",
    ("trial", "metrics", "*"): "a regular expression, a list of them or {}",
    ("trial", "inputs", "*"): "a URI or a map",
    ("trial", "inputs", "*", "*"): "a URI or a map",
    ("trial", "env", "*"): "a string or {from_env: NAME}",
}
"""What a field accepts that has a short form."""


def _accepted_forms(keys: KeyPath) -> str:
    for pattern, forms in _FORMS.items():
        if len(pattern) == len(keys) and all(
            wildcard in ("*", key) for wildcard, key in zip(pattern, keys, strict=True)
        ):
            return forms
    return ""


def _unknown_word(word: str, choices: Sequence[str]) -> tuple[str, str]:
    meant = FOREIGN_VALUES.get(word.lower(), "")
    if meant.partition(" ")[0] in choices:
        return f"unknown value {truncate(word)!r}", f"did you mean {meant}?"
    starts = [choice for choice in choices if len(word) > 2 and choice.startswith(word.lower())]
    hint = f"did you mean {starts[0]}?" if len(starts) == 1 else did_you_mean(word, choices)
    hint = hint or _list_choices(choices)
    return f"unknown value {truncate(word)!r}", hint


def _list_choices(choices: Sequence[str]) -> str:
    return f"use one of {', '.join(choices)}" if choices else ""


def _choices(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the words that a field at a location of pydantic accepts, if only certain words."""
    types = _types_at(model, loc)
    if any(get_origin(kind) is not Literal for kind in types):
        return []
    return [word for kind in types for word in get_args(kind)]


def _description(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    for parent in _types_at(model, loc[:-1]):
        for name, info in _model_fields(parent).items():
            if loc[-1] in {name, info.alias}:
                text = (info.description or "").rstrip(".")
                return text[:1].lower() + text[1:] if text[1:2].islower() else text
    return ""


def type_names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the valid values of the key ``type`` at a location of pydantic."""
    return [
        name
        for parent in _types_at(model, loc)
        if (info := _model_fields(parent).get("type"))
        for name in get_args(info.annotation)
    ]


def _model_fields(kind: Any) -> Mapping[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields
    return {}


def _types_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[Any]:
    """Return the types that a location of pydantic accepts; a union yields its members."""
    types: list[Any] = [model]
    for key in loc:
        types = list(dict.fromkeys(inner for outer in types for inner in _inner_types(outer, key)))
    return types


def _inner_types(kind: Any, key: str | int) -> Iterator[Any]:
    if fields := _model_fields(kind):
        for name, info in fields.items():
            if key in {name, info.alias}:
                yield from _union_members(info.annotation)
                return
        tag = fields.get("type")
        if key == kind.__name__ or (tag and key in get_args(tag.annotation)):
            yield kind
    elif get_origin(kind) is list and isinstance(key, int):
        yield from _union_members(get_args(kind)[0])
    elif get_origin(kind) is dict:
        yield from _union_members(get_args(kind)[1])


def _union_members(annotation: Any) -> Iterator[Any]:
    from types import UnionType
    from typing import Annotated, Union

    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _union_members(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _union_members(part)
    else:
        yield annotation
