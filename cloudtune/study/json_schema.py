"""The JSON Schema of the study file, in a form whose errors read well in an editor.

Validators explain a failed ``anyOf`` badly, so alternatives are written as conditions on the type
of the value, and on ``type`` for parameters and ``name`` for strategies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema

from cloudtune.study.key_examples import KEY_EXAMPLES
from cloudtune.study.schema import Json
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_HYPERBAND_KEYS = ("resource", "min", "max", "eta")
_KEYWORDS = {"gt": "exclusiveMinimum"}
"""Keywords of JSON Schema for constraints that pydantic copies from a union of numbers."""


def json_schema_text() -> str:
    """Return the JSON Schema of the study file as text."""
    return json.dumps(json_schema(), indent=2) + "\n"


def json_schema() -> Json:
    """Return the JSON Schema of the study file."""
    generated = Study.model_json_schema(by_alias=True, schema_generator=_Generator)
    schema = cast("Json", _simplify(generated))
    definitions = schema.pop("$defs")
    for name, examples in KEY_EXAMPLES.items():
        properties = definitions.get(name, schema)["properties"]
        for key, example in examples.items():
            properties[key].setdefault("examples", [example])
    for name, definition in definitions.items():
        definition["title"] = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    definitions["Parameter"] = _parameter(definitions)
    definitions["Strategy"] = _strategy(definitions["Strategy"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "cloudtune study",
        "description": "A tuning study. Every block is optional until a command needs it.",
        "examples": [
            {
                "objective": {"metric": "accuracy", "goal": "maximize"},
                "parameters": {"lr": {"type": "float", "min": 1e-4, "max": 0.1, "scale": "log"}},
                "limits": {"max_trials": 20, "timeout": "1h"},
                "trial": {"script": "train.py"},
            }
        ],
        "$defs": definitions,
    }


class _Generator(GenerateJsonSchema):
    """Omits titles, which repeat the keys, and null, which stands for a key that is not there."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def nullable_schema(self, schema: Any) -> Json:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Json:
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        return {**inner, "default": default} if isinstance(default, bool | int | str) else inner


def _simplify(value: Any) -> Any:
    """Return a part of the schema with conditions instead of alternatives."""
    if is_list(value):
        return [_simplify(item) for item in value]
    if not is_map(value):
        return value
    if "discriminator" in value:
        return {"$ref": "#/$defs/Parameter"}
    schema = {_KEYWORDS.get(key, key): _simplify(item) for key, item in value.items()}
    return _by_json_type(schema) if is_list(schema.get("anyOf")) else schema


def _parameter(definitions: Mapping[str, Json]) -> Json:
    """Return the schema of a parameter, whose ``type`` selects its keys."""
    references = {
        schema["properties"]["type"]["const"]: f"#/$defs/{name}"
        for name, schema in definitions.items()
        if name.endswith("Parameter")
    }
    return {
        "title": "parameter",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(references), "description": "Type of the parameter."}},
        "allOf": [
            _condition(
                {"required": ["type"], "properties": {"type": {"const": name}}},
                {"$ref": reference},
            )
            for name, reference in references.items()
        ],
    }


def _by_json_type(schema: Json) -> Json:
    """Return a schema whose alternatives have different types, as conditions on the type."""
    result = dict(schema)
    types: list[str] = []
    conditions: list[Json] = []
    for alternative in cast("Sequence[Json]", result.pop("anyOf")):
        name = _json_type(alternative)
        types += name if isinstance(name, list) else [name]
        if "enum" in alternative:
            result["examples"] = alternative["enum"]  # editors complete these
        if set(alternative) - {"type"}:
            conditions.append(_condition({"type": name}, alternative))
    types = [name for name in types if (name, "number") not in {("integer", t) for t in types}]
    result["type"] = types[0] if len(types) == 1 else types
    if conditions:
        result["allOf"] = conditions
    return result


def _json_type(schema: Json) -> Any:
    if "type" in schema:
        return schema["type"]
    return "string" if "enum" in schema else "object"


def _condition(test: Json, schema: Json) -> Json:
    return {"if": test, "then": schema}


def _strategy(schema: Json) -> Json:
    """Return the schema of a strategy, whose ``name`` selects its keys."""
    properties: Json = schema["properties"]
    conditions: list[Json] = []
    for name, traits in STRATEGIES.items():
        keys = [key for key in properties if key not in {"method", *_HYPERBAND_KEYS}]
        selected = {key: properties[key] for key in keys}
        if traits.methods:
            selected["method"] = {**properties["method"], "enum": list(traits.methods)}
        if name == "hyperband":
            selected |= {key: properties[key] for key in _HYPERBAND_KEYS}
        test: Json = {"properties": {"name": {"const": name}}}
        if name != properties["name"]["default"]:
            test["required"] = ["name"]
        block: Json = {"properties": selected, "additionalProperties": False}
        if name == "hyperband":
            block["required"] = ["max"]
        conditions.append(_condition(test, block))
    kept = {key: item for key, item in schema.items() if key != "additionalProperties"}
    return kept | {"properties": {"name": properties["name"]}, "allOf": conditions}
