"""Each leaf of the study's JSON Schema, and studies in which it has another value."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cloudtune.errors import StudyError
from cloudtune.study.key_examples import KEY_EXAMPLES
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

IGNORED = {"version", "providers"}
"""There is one version; the settings of a provider are its own."""


@dataclass(frozen=True)
class Leaf:
    """A key without keys below it: ``*`` is any key of a map, and ``#`` any item of a list."""

    keys: tuple[str, ...]
    schema: Any
    owner: str
    """The model with the key, for its examples."""

    def __str__(self) -> str:
        return ".".join(self.keys)


def schema_leaves() -> list[Leaf]:
    """Return the leaves of the study's JSON Schema."""
    schema = Study.model_json_schema(by_alias=True)
    found: dict[tuple[str, ...], Leaf] = {}
    for leaf in _walk(schema, (), "Study", schema["$defs"]):
        known = found.setdefault(leaf.keys, leaf)
        if known is not leaf and known.schema != leaf.schema:
            found[leaf.keys] = Leaf(leaf.keys, {"anyOf": [known.schema, leaf.schema]}, leaf.owner)
    return [leaf for leaf in found.values() if leaf.keys[0] not in IGNORED]


def _walk(schema: Any, keys: tuple[str, ...], owner: str, models: Any) -> Iterator[Leaf]:
    if "$ref" in schema:
        owner = schema["$ref"].rpartition("/")[2]
        schema = models[owner]
    parts: list[Any] = schema.get("anyOf", schema.get("oneOf", []))
    if any("minProperties" in each for each in parts):  # a value of a parameter, which may be a map
        yield Leaf(keys, schema, owner)
        return
    parts = [each for each in parts if each.get("type") == "array" and "$ref" in str(each)] or parts
    inner = [each for part in parts for each in _walk(part, keys, owner, models)]
    if any(len(each.keys) > len(keys) for each in inner):  # a text is short for a map
        yield from (each for each in inner if len(each.keys) > len(keys))
    elif schema.get("properties"):
        for key, value in schema["properties"].items():
            yield from _walk(value, (*keys, key), owner, models)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from _walk(schema["additionalProperties"], (*keys, "*"), owner, models)
    elif schema.get("type") == "array":
        items = list(_walk(schema["items"], (*keys, "#"), owner, models))
        has_maps = any(len(each.keys) > len(keys) + 1 for each in items)
        yield from items if has_maps else [Leaf(keys, schema, owner)]
    else:
        yield Leaf(keys, schema, owner)


def candidates(leaf: Leaf) -> Iterator[Any]:
    """Yield values that a leaf may accept."""
    key = next(each for each in reversed(leaf.keys) if each not in {"*", "#"})
    example = KEY_EXAMPLES.get(leaf.owner, {}).get(key)
    if isinstance(example, dict) and leaf.keys[-1] == "*":
        yield from example.values()
    elif example is not None:
        yield example
    if key == "method":
        yield from (method for traits in STRATEGIES.values() for method in traits.methods)
    yield from _values(leaf.schema)


def _values(schema: Any) -> Iterator[Any]:
    for part in schema.get("anyOf", ()):
        yield from _values(part)
    yield from schema.get("enum", [schema["const"]] if "const" in schema else [])
    match schema.get("type"):
        case "boolean":
            yield from (False, True)
        case "integer":
            yield from (2, 5)
        case "number":
            yield from (0.25, 0.75)
        case "string":
            yield from ("a", "b")
        case "object" if "minProperties" in schema:
            yield from ({"name": "a"}, {"name": "b"})
        case "array" if "minProperties" in str(schema["items"]):
            yield from (["a"], ["b"], [{"name": "a"}, {"name": "b"}], [{"name": "b", "lr": 1}])
        case "array":
            yield from (["a"], ["b"], [0.25, 0.5, 1.0], [1, 2, 4, 8])
        case _:
            pass


def changed(data: Any, leaf: Leaf, value: Any) -> Iterator[Any]:
    """Yield copies of a study with another value of a leaf, for each place that it can have."""
    names = [*data.get("parameters", {}), "acc", "KEY", "data", "*"]
    places: list[tuple[Any, ...]] = [()]
    for position, key in enumerate(leaf.keys):
        nested = "*" in leaf.keys[:position]  # not each name with each, which shows no more
        wider: list[tuple[Any, ...]] = []
        for place in places:
            inner = _at(data, place)
            if key == "*":
                wider += [(*place, name) for name in (inner or names[-2 if nested else 0 :])]
            elif key != "#":
                wider.append((*place, key))
            elif is_list(inner):
                wider += [(*place, index) for index in range(len(inner))]
            else:
                wider.append(place)
        places = wider
    for place in places:
        copied = copy.deepcopy(data)
        inner = copied
        for key in place[:-1]:
            inner = inner.setdefault(key, {}) if is_map(inner) else inner[key]
        if (is_map(inner) or is_list(inner)) and place:
            inner[place[-1]] = copy.deepcopy(value)
            yield place, copied


def _at(data: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        data = data.get(key) if is_map(data) else data[key]
        if data is None:
            return None
    return data


def valid(data: Any) -> Study | None:
    """Return the study, or None if it is invalid."""
    try:
        return Study.model_validate(data)
    except (ValidationError, StudyError):
        return None
