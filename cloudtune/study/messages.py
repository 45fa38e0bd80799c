"""What pydantic finds wrong, in the words and paths of the person who wrote the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.yaml_reader import is_list, is_map

KeyPath = tuple[str | int, ...]

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}
_FOREIGN_KEYS = {
    **dict.fromkeys(("low", "lower", "lower_bound", "minimum", "min_value", "minvalue"), "min"),
    **dict.fromkeys(("high", "upper", "upper_bound", "maximum", "max_value", "maxvalue"), "max"),
    **dict.fromkeys(("choices", "options", "categories", "list"), "values"),
    **dict.fromkeys(("distribution", "scaling", "scaling_type", "log"), "scale"),
    **dict.fromkeys(("condition", "conditions", "depends_on", "if"), "when"),
    **dict.fromkeys(("direction", "mode"), "goal"),
    **dict.fromkeys(("q", "quantization", "increment"), "step"),
    "n_trials": "max_trials",
    "max_parallel_trials": "parallel_trials",
    "algorithm": "name",
}
"""What other tools call a key of ours."""
_WORD = re.compile(r"'([^']*)'")
_MAX_SHOWN = 60


@dataclass
class Mistake:
    """One mistake: where it stands in the data, and what is wrong."""

    place: KeyPath
    """Keys and positions in the data as it was written."""
    missing: bool = False
    """Whether the place is a key that is not there."""
    details: list[Any] = field(default_factory=list[Any])
    """What pydantic said about the place; several lines for a field of several types."""

    @property
    def unknown_key(self) -> bool:
        """Whether the place is a key that should not be there."""
        return any(details["type"] == "extra_forbidden" for details in self.details)

    @property
    def path(self) -> str:
        """The dotted path of the field."""
        return ".".join(map(str, self.place))


def translate_error(error: ValidationError, data: Any, model: type[BaseModel]) -> list[Problem]:
    """Return one problem a mistake in data that a model refused, without file and line."""
    return describe_mistakes(collect_mistakes(error, data), model)


def describe_mistakes(mistakes: Sequence[Mistake], model: type[BaseModel]) -> list[Problem]:
    """Return mistakes in our own words: one for a misspelled key, though another one is missing."""
    problems = [_problem_of(mistake, model) for mistake in mistakes]
    meant = {
        (mistake.place[:-1], problem.hint)
        for mistake, problem in zip(mistakes, problems, strict=True)
        if mistake.unknown_key
    }
    return [
        problem
        for mistake, problem in zip(mistakes, problems, strict=True)
        if not (
            mistake.missing and (mistake.place[:-1], f"did you mean {mistake.place[-1]}?") in meant
        )
    ]


def collect_mistakes(error: ValidationError, data: Any) -> list[Mistake]:
    """Return the places in the data that were refused, in the order found, each once."""
    found: dict[tuple[KeyPath, bool], Mistake] = {}
    for details in error.errors(include_url=False):
        missing = details["type"] in {"missing", "union_tag_not_found"}
        loc = details["loc"]
        if details["type"].startswith("union_tag"):
            loc = (*loc, "type")
        place = _key_path(loc, data, missing=missing)
        found.setdefault((place, missing), Mistake(place, missing)).details.append(details)
    return [
        mistake
        for (place, _), mistake in found.items()
        if not any((place[:end], False) in found for end in range(len(place)))
    ]


def _key_path(loc: Sequence[str | int], data: Any, *, missing: bool) -> KeyPath:
    """Follow pydantic's path through the data, past the steps that only pydantic knows."""
    place: list[str | int] = []
    here = data
    for step in loc:
        if is_map(here) and step in here:
            here = here[str(step)]
        elif is_list(here) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            continue
        place.append(step)
    if missing and is_map(here):
        place.append(loc[-1])
    return tuple(place)


def _problem_of(mistake: Mistake, model: type[BaseModel]) -> Problem:
    details = mistake.details[0]
    for special in mistake.details:
        if special["type"] not in _KINDS:
            details = special
            break
    message, hint = _message_and_hint(details, mistake, model)
    return Problem(mistake.path, message, hint)


def _message_and_hint(details: Any, mistake: Mistake, model: type[BaseModel]) -> tuple[str, str]:
    kind: str = details["type"]
    context: Mapping[str, Any] = details.get("ctx", {})
    value = details.get("input")
    match kind:
        case "missing":
            return "is missing", _description(model, details["loc"])
        case "union_tag_not_found":
            return "is missing", _one_of(type_names(model, details["loc"]))
        case "union_tag_invalid":
            return _unknown_word(context["tag"], _WORD.findall(context["expected_tags"]))
        case "extra_forbidden":
            known = _keys(model, details["loc"][:-1])
            word = str(mistake.place[-1])
            if word == "<<":
                return "maps are not merged here", "write their keys out"
            if (meant := _FOREIGN_KEYS.get(word.lower())) in known:
                return "there is no such key", f"did you mean {meant}?"
            return "there is no such key", _suggest(word, known, "known here: ")
        case "literal_error":
            choices = _WORD.findall(context["expected"])
            if not choices:
                return f"must be {context['expected']}, and is {describe_value(value)}", ""
            if not isinstance(value, str):
                return f"must be a word, and is {describe_value(value)}", _one_of(choices)
            return _unknown_word(value, choices)
        case "value_error":
            return str(context["error"]), ""
        case "finite_number":
            return "must be a finite number", ""
        case "greater_than_equal":
            return f"must be {context['ge']} or more, and is {value}", ""
        case "greater_than":
            return f"must be above {context['gt']}, and is {value}", ""
        case "less_than_equal":
            return f"must be {context['le']} or less, and is {value}", ""
        case "less_than":
            return f"must be below {context['lt']}, and is {value}", ""
        case "string_too_short" | "too_short":
            return "must not be empty", ""
        case "string_pattern_mismatch":
            return f"{describe_value(value)} is not understood", _description(model, details["loc"])
        case "invalid_key" | "recursion_loop":
            return f"keys must be text, and one is {describe_value(value)}", ""
        case _ if kind in _KINDS:
            return _wrong_type(mistake, value)
        case _:
            return str(details["msg"]).lower(), ""


def _wrong_type(mistake: Mistake, value: Any) -> tuple[str, str]:
    kinds = (_KINDS.get(details["type"]) for details in mistake.details)
    wanted = list(dict.fromkeys(kind for kind in kinds if kind))
    if "a number" in wanted and "a whole number" in wanted:
        wanted.remove("a whole number")
    hint = ""
    if isinstance(value, bool | int | float) and "text" in wanted:
        hint = f'write it in quotes: "{value}"'
    elif isinstance(value, str) and ("a number" in wanted or "a whole number" in wanted):
        hint = _as_number(value)
    elif isinstance(value, float) and value.is_integer() and "a whole number" in wanted:
        hint = f"write {int(value)}"
    expected = _accepted_forms(mistake.place) or _join_or(wanted)
    return f"must be {expected}, and is {describe_value(value)}", hint


_FORMS = {
    ("objective",): "a map or a list of maps",
    ("parameters", "*"): "a map or a list of maps",
    ("strategy",): "a name or a map",
    ("early_stopping",): "a rule or a map",
    ("trial", "source"): "a folder or a map",
    ("trial", "metrics", "*"): "an expression, a list of them or {}",
    ("trial", "inputs", "*"): "an address or a map",
    ("trial", "inputs", "*", "*"): "an address or a map",
    ("trial", "env", "*"): "text or {from_env: NAME}",
}
"""What may stand where there is a short way to write a field."""


def _accepted_forms(place: KeyPath) -> str:
    for pattern, form in _FORMS.items():
        if len(pattern) == len(place) and all(
            step in ("*", at) for step, at in zip(pattern, place, strict=True)
        ):
            return form
    return ""


def _as_number(value: str) -> str:
    bare = value.replace("_", "").replace(",", "")
    try:
        float(bare)
    except ValueError:
        return ""
    return "write it without quotes" if bare == value else f"write {bare}"


def describe_value(value: Any) -> str:
    """Return a short description of a value in the file's terms."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_truncate(repr(value))}"
        case str():
            return f"the text {_truncate(value)!r}"
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return type(value).__name__


def _truncate(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _unknown_word(value: str, choices: Sequence[str]) -> tuple[str, str]:
    return f"{_truncate(value)!r} is not known here", _suggest(value, choices, "one of ")


def _one_of(choices: Sequence[str]) -> str:
    return f"one of {', '.join(choices)}" if choices else ""


def _suggest(word: str, known: Sequence[str], otherwise: str) -> str:
    return did_you_mean(word, known) or (f"{otherwise}{', '.join(known)}" if known else "")


def _join_or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _description(model: type[BaseModel], loc: Sequence[str | int]) -> str:
    for parent in _types_at(model, loc[:-1]):
        for name, info in _model_fields(parent).items():
            if loc[-1] in {name, info.alias}:
                return (info.description or "").rstrip(".")
    return ""


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    return [
        info.alias or name
        for parent in _types_at(model, loc)
        for name, info in _model_fields(parent).items()
    ]


def type_names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return what the key ``type`` may say at a path of pydantic's."""
    return [
        tag
        for parent in _types_at(model, loc)
        if (info := _model_fields(parent).get("type"))
        for tag in get_args(info.annotation)
    ]


def _model_fields(kind: Any) -> Mapping[str, Any]:
    return kind.model_fields if _is_model(kind) else {}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _types_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[Any]:
    """Return the types that may stand at a path of pydantic's, unions taken apart."""
    here: list[Any] = [model]
    for step in loc:
        here = list(dict.fromkeys(kind for at in here for kind in _inside(at, step)))
    return here


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    if _is_model(kind):
        for name, info in _model_fields(kind).items():
            if step in {name, info.alias}:
                yield from _alternatives(info.annotation)
                return
        tag = _model_fields(kind).get("type")
        if step == kind.__name__ or (tag and step in get_args(tag.annotation)):
            yield kind
    elif get_origin(kind) is list and isinstance(step, int):
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) is dict:
        yield from _alternatives(get_args(kind)[1])


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Take annotated types and unions apart."""
    from types import UnionType
    from typing import Annotated, Union

    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation
