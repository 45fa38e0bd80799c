"""Merge changes into a request or document, in the spelling of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from cloudtune.study.schema import Json

_KEYS = (
    *("ChannelName", "Name", "parameterId", "metricId", "name", "DefinitionName", "Key", "id"),
    "parameterSpec.parameterId",
)
"""The keys that identify an entry in a list of maps, in the requests that cloudtune sends. A dot
separates the keys of nested maps."""


def merge_json(old: Any, new: Any) -> Any:
    """Return data merged with changes.

    Maps are merged by key, and null removes a key. Lists of maps are merged by the key that
    identifies an entry, else by position; other lists are replaced.
    """
    if isinstance(new, Mapping):
        before: Mapping[str, Any] = {}
        if isinstance(old, Mapping):
            before = cast("Mapping[str, Any]", old)
        changes = cast("Mapping[str, Any]", new)
        merged = dict(before)
        for key, value in changes.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge_json(before.get(key), value)
        return merged
    if is_list_of_maps(old) and is_list_of_maps(new):
        return _merge_lists(cast("list[Json]", old), cast("list[Json]", new))
    return new


def _merge_lists(old: list[Json], new: list[Json]) -> list[Json]:
    key = entry_key(old, new)
    if key is None:
        pairs = zip(old, new, strict=False)
        rest = old[len(new) :] or [merge_json(None, entry) for entry in new[len(old) :]]
        return [*(merge_json(before, entry) for before, entry in pairs), *rest]
    entries = {identity(entry, key): entry for entry in old}
    for entry in new:
        name = identity(entry, key)
        entries[name] = merge_json(entries.get(name), entry)
    return list(entries.values())


def entry_key(*lists: Sequence[Json]) -> str | None:
    """Return the key that identifies each entry of lists; None if there is none."""
    for key in _KEYS:
        names = [[identity(entry, key) for entry in entries] for entries in lists]
        if all(None not in each and len(set(each)) == len(each) for each in names):
            return key
    return None


def identity(entry: Json, key: str) -> str | int | None:
    """Return what identifies an entry, at a key that may have dots; None if it is absent."""
    value: Any = entry
    for part in key.split("."):
        value = cast("Json", value).get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str | int) else None


def is_list_of_maps(value: Any) -> bool:
    """Return whether a value is a list of maps only, which may be empty."""
    return isinstance(value, list) and all(
        isinstance(entry, Mapping) for entry in cast("list[object]", value)
    )
