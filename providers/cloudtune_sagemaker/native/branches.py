"""Joins training definitions that are the branches of one conditional study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.formats import Fields, Report
from cloudtune.provider import Json, Value, is_list, is_map
from cloudtune_sagemaker.native.hyperparameters import read_ranges, read_static, read_values
from cloudtune_sagemaker.native.names import SDK_PARAMETERS, definition_name

_RANGES = "HyperParameterRanges"
_OWN = frozenset(["DefinitionName", _RANGES, "StaticHyperParameters"])
"""What may differ between the branches."""
_KINDS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


@dataclass(frozen=True)
class JoinedBranches:
    """Definitions that differ in their ranges and static values, one of them in each: the root."""

    root: str
    names: Mapping[str, str]
    """The name of each definition, by the text of its root."""
    statics: Mapping[str, Json]
    """The static values of each definition that not all have, by the text of its root."""
    definitions: Sequence[Json]
    common: Json
    """The static values that all definitions share."""


def join(definitions: Sequence[Json]) -> JoinedBranches | None:
    """Return how definitions join to one study; None if they are jobs of their own."""
    if not all(map(_is_well_formed, definitions)):
        return None
    shared = [_text({k: v for k, v in each.items() if k not in _OWN}) for each in definitions]
    statics: list[Json] = [dict(each.get("StaticHyperParameters") or {}) for each in definitions]
    ranges: list[Json] = [each.get("HyperParameterRanges") or {} for each in definitions]
    if len(set(shared)) > 1 or any(each.keys() - set(_KINDS) for each in ranges):
        return None
    for each in statics:
        for name in SDK_PARAMETERS:
            each.pop(name, None)
    tuned: set[Any] = {entry["Name"] for each in ranges for entry in _entries(each)}
    everywhere = {name for name in statics[0] if all(name in each for each in statics)} - tuned
    roots = [
        name
        for name in statics[0]
        if name in everywhere and len({_text(each[name]) for each in statics}) == len(statics)
    ]
    if not roots:
        return None
    root = next((each for each in roots if _is_named_after(each, statics, definitions)), roots[0])
    common = {
        name: value
        for name, value in statics[0].items()
        if name in everywhere and len({_text(each[name]) for each in statics}) == 1
    }
    if any(name.startswith("sagemaker_") and name not in common for s in statics for name in s):
        return None  # they run other code, which is no parameter
    pairs = zip(statics, definitions, strict=True)
    names = {str(s[root]): str(d.get("DefinitionName")) for s, d in pairs}
    own = {
        str(each[root]): {k: v for k, v in each.items() if k not in common and k != root}
        for each in statics
    }
    return JoinedBranches(root, names, own, definitions, common)


def _is_named_after(root: str, statics: Sequence[Json], definitions: Sequence[Json]) -> bool:
    """Return whether an export gives the definitions the names that they have."""
    used: set[str] = set()
    for static, definition in zip(statics, definitions, strict=True):
        name = definition_name(root, str(static[root]), used)
        if name != definition.get("DefinitionName"):
            return False
        used.add(name.lower())
    return True


def _entries(ranges: Json) -> list[Json]:
    lists: list[list[Json]] = list(ranges.values())
    return [entry for each in lists for entry in each if "Name" in entry]


def _is_well_formed(definition: Json) -> bool:
    """Return whether static values and ranges have the form of the service."""
    static: Any = definition.get("StaticHyperParameters") or {}
    ranges: Any = definition.get(_RANGES) or {}
    if not is_map(static) or not is_map(ranges):
        return False
    lists = list(ranges.values())
    return all(map(is_list, lists)) and all(
        is_map(entry) and isinstance(entry.get("Name"), str) for each in lists for entry in each
    )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def branch_parameters(
    joined: JoinedBranches, report: Report, origins: dict[str, str], *, decoded: bool
) -> dict[str, Any]:
    """Return the parameters of joined definitions: the root first, the others with conditions."""
    root_values = read_values(list(joined.names), decoded=decoded)
    variants: dict[str, dict[str, list[Value]]] = {}
    pairs = zip(joined.definitions, joined.statics.values(), root_values, strict=True)
    for index, (definition, static, value) in enumerate(pairs):
        path = f"TrainingJobDefinitions.{index}.HyperParameterRanges"
        ranges = Fields(definition.get("HyperParameterRanges") or {}, report, path)
        found = read_ranges(ranges, decoded=decoded, origins=origins)
        for name, constant in read_static(static, decoded=decoded).items():
            found[name] = {"type": "categorical", "values": [constant]}
        for name, parameter in found.items():
            variants.setdefault(name, {}).setdefault(json.dumps(parameter), []).append(value)
    parameters: dict[str, Any] = {joined.root: {"type": "categorical", "values": root_values}}
    for name, active in variants.items():
        definitions = [
            {
                **json.loads(text),
                **({} if len(v) == len(root_values) else {"when": {joined.root: v}}),
            }
            for text, v in active.items()
        ]
        parameters[name] = definitions if len(definitions) > 1 else definitions[0]
    return parameters
