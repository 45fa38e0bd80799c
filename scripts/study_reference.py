"""The tables of the study file's keys for its page in the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from cloudtune.study.json_schema import json_schema
from cloudtune.study.key_examples import KEY_EXAMPLES
from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_list, is_map, parse

BLOCKS: Mapping[str, tuple[str, ...]] = {
    "study": ("Study",),
    "objective": ("Objective",),
    "parameters": (
        "FloatParameter",
        "IntParameter",
        "DiscreteParameter",
        "CategoricalParameter",
        "BoolParameter",
    ),
    "strategy": ("Strategy",),
    "limits": ("Limits",),
    "early_stopping": ("EarlyStopping",),
    "trial": ("TrialSpec",),
    "resources": ("Resources",),
    "retry": ("Retry",),
    "inputs": ("Input",),
    "env": ("FromEnvironment",),
    "warm_start": ("WarmStart",),
    "confirm": ("Confirm",),
    "notify": ("Notify",),
}
"""The models whose keys the table of a block lists."""

_DEFAULT = re.compile(r" Default: (.+)\.$")
_LINKS = {
    "EarlyStopping": "early_stopping",
    "FromEnvironment": "trialenv",
    "Input": "trialinputs",
    "Limits": "limits",
    "Objective": "objective",
    "Parameter": "parameters",
    "Resources": "trialresources",
    "Retry": "trialretry",
    "Strategy": "strategy",
    "TrialSpec": "trial",
    "WarmStart": "warm_start",
    "Confirm": "confirm",
    "Notify": "notify",
}
"""The headings of the page that describe the maps, by the name of the model."""


def study_table(block: str) -> str:
    """Return the table of a block's keys in Markdown."""
    rows: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    models = BLOCKS[block]
    for model in models:
        for key, cells in _rows(model):
            rows.setdefault((key, cells[2]), []).append((model, *cells[:2], cells[3]))
    lines = ["| key | value | default | meaning | example |", "|---|---|---|---|---|"]
    for (key, meaning), entries in rows.items():
        kinds = [_kind(entry[0]) for entry in entries]
        types = _by_kind([(kind, entry[1]) for kind, entry in zip(kinds, entries, strict=True)])
        default = _by_kind([(kind, entry[2]) for kind, entry in zip(kinds, entries, strict=True)])
        text = meaning
        if len(kinds) < len(models):
            text = f"{', '.join(map(_code, kinds))}: {meaning[:1].lower()}{meaning[1:]}"
        lines.append(f"| `{key}` | {types} | {default} | {text} | {entries[0][3]} |")
    return "\n".join(lines) + "\n"


def _rows(model: str) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """Yield each key of a model with its type, default, meaning and example."""
    schema = json_schema()
    block = schema if model == "Study" else schema["$defs"][model]
    required = block.get("required", ())
    properties = _properties(block)
    for key in KEY_EXAMPLES[model]:
        field = properties[key]
        if "description" not in field:  # the same as that of the model
            description = schema["$defs"][field["$ref"].removeprefix("#/$defs/")]["description"]
            field["description"] = description
        meaning, default = _split_default(field)
        if key in required:
            default = "required"
        example = _code(f"{key}: {format_flow(KEY_EXAMPLES[model][key])}")
        yield key, (_type(field), default, marked(meaning), example)


def _properties(block: Json) -> Json:
    """Return the keys of a block, including those that only some values of another key allow."""
    properties: Json = {}
    for condition in block.get("allOf", ()):
        for key, field in condition["then"]["properties"].items():
            known = properties.setdefault(key, dict(field))
            if "enum" in field:
                known["enum"] = list(dict.fromkeys([*known["enum"], *field["enum"]]))
    properties.update(block["properties"])
    return properties


def _split_default(field: Json) -> tuple[str, str]:
    text: str = field["description"]
    if "default" in field:
        return text, _code(json.dumps(field["default"]).strip('"'))
    if match := _DEFAULT.search(text):
        return text[: match.start()], match[1]
    return text, ""


def _by_kind(cells: Sequence[tuple[str, str]]) -> str:
    """Return the text of cells, each with the types of parameters that it is for if they differ."""
    kinds: dict[str, list[str]] = {}
    for kind, text in cells:
        kinds.setdefault(text, []).append(kind)
    if len(kinds) == 1:
        return cells[0][1]
    return ", ".join(
        text if names == [text.strip("`")] else f"{text} ({', '.join(map(_code, names))})"
        for text, names in kinds.items()
    )


def _kind(model: str) -> str:
    return model.removesuffix("Parameter").lower()


def marked(text: str) -> str:
    """Return a description with its placeholders and variables as code."""
    words = r"\{\{\w+\}\}|\{from_env: NAME\}|\$?[A-Z]+_[A-Z0-9_]+|\w+\(\)|--\w+[= ][\d.]+"
    return re.sub(words, lambda match: _code(match[0]), text)


def _type(schema: Json) -> str:
    """Return what a value must be, in words."""
    if "enum" in schema:
        return ", ".join(_code(name) for name in schema["enum"])
    if "const" in schema:
        return _code(str(schema["const"]))
    if reference := schema.get("$ref"):
        return _reference(reference)
    if "errorMessage" in schema:
        return "duration" if "duration" in schema["errorMessage"] else "money"
    types: list[str] = schema["type"] if is_list(schema["type"]) else [schema["type"]]
    scalars = [name for name in types if name in {"boolean", "number", "string"}]
    special = {
        name: condition["then"]
        for condition in schema.get("allOf", ())
        if isinstance(name := condition["if"]["type"], str)
    }
    words = ["string, number or boolean"] if len(scalars) == 3 else []
    for name in types:
        if not (words and name in scalars) and special.get(name, {}).get("maxProperties") != 0:
            words.append(_simple_type(name, special.get(name, schema)))
    return " or ".join(words)


def _simple_type(name: str, schema: Json) -> str:
    if "$ref" in schema or "enum" in schema:
        return _type(schema)
    match name:
        case "object":
            reference = cast("Json", schema.get("additionalProperties", {})).get("$ref")
            return _reference(reference) if reference else "map"
        case "array":
            return "list"
        case "boolean":
            return "`true`, `false`"
        case _:
            low = schema.get("minimum")
            return f"{name}, at least {low}" if low is not None else name


def _reference(reference: str) -> str:
    return f"[map](#{_LINKS[reference.removeprefix('#/$defs/')]})"


def _code(text: str) -> str:
    return f"`{text}`"


def format_flow(value: Any) -> str:
    """Return a value in YAML, in one line."""
    if is_map(value):
        return "{" + ", ".join(f"{key}: {format_flow(item)}" for key, item in value.items()) + "}"
    if is_list(value):
        return "[" + ", ".join(map(format_flow, value)) + "]"
    if isinstance(value, str):
        plain = not re.search(r"[][{},#'\"]", value) and parse(f"k: {value}", "").data["k"] == value
        return value if plain else "'" + value.replace("'", "''") + "'"
    return re.sub(r"e-0+", "e-", json.dumps(value))
