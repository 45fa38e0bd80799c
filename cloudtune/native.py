"""``native``: what a study puts over a provider's request, in the service's own spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from cloudtune.capabilities import Finding

Json = dict[str, Any]

_KEYS = (
    "ChannelName",
    "Name",
    "parameterId",
    "metricId",
    "name",
    "DefinitionName",
    "Key",
    "id",
)
"""What names an entry in a list of maps, in the formats that we send."""


def merge(
    request: Json, native: Mapping[str, Any], *, provider: str, kept: Sequence[str]
) -> tuple[Json, list[Finding]]:
    """Return a request with a study's own words put over it, and what is worth saying about that.

    Maps are merged by key, null removes, lists of maps are merged by the key that names an entry,
    else by position, and other lists are replaced.

    Args:
        request: What was made from the study. It is not changed.
        native: What is put over it.
        provider: Under whose settings it stands.
        kept: Paths that it may not touch.
    """
    start = f"providers.{provider}.native"
    findings: list[Finding] = []
    for path in _leaves(native, "") if native else ():
        if any(_within(path, own) or _within(own, path) for own in kept):
            reason = "cloudtune finds its jobs and results by this; it cannot be replaced"
            findings.append(Finding("refused", f"{start}.{path}", reason))
        elif _reaches(request, path):
            reason = f"replaces what the study says: {path} of the request is this instead"
            findings.append(Finding("approximated", f"{start}.{path}", reason))
    return cast("Json", _merged(request, native)), findings


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, over = cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new)
        merged = {key: value for key, value in before.items() if key not in over}
        for key, value in over.items():
            if value is not None:
                merged[key] = _merged(before.get(key), value)
        return merged
    if isinstance(new, Mapping):
        over = cast("Mapping[str, Any]", new)
        return {key: _merged(None, value) for key, value in over.items() if value is not None}
    if _of_maps(old) and _of_maps(new):
        return _merged_lists(cast("list[Json]", old), cast("list[Json]", new))
    return new


def _merged_lists(old: list[Json], new: list[Json]) -> list[Json]:
    key = next((k for k in _KEYS if all(k in entry for entry in [*old, *new])), None)
    if key is None:
        longest = max(len(old), len(new))
        before: list[Any] = [*old, *[None] * (longest - len(old))]
        return [
            _merged(one, new[place]) if place < len(new) else one
            for place, one in enumerate(before)
        ]
    named = {entry[key]: entry for entry in old}
    for entry in new:
        named[entry[key]] = _merged(named.get(entry[key]), entry)
    return list(named.values())


def _of_maps(value: Any) -> bool:
    entries = cast("list[Any]", value) if isinstance(value, list) else [None]
    return all(isinstance(entry, Mapping) for entry in entries)


def _leaves(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path


def _within(path: str, of: str) -> bool:
    return path == of or path.startswith(of + ".")


def _reaches(request: Any, path: str) -> bool:
    for key in path.split(".") if path else []:
        if not isinstance(request, Mapping) or key not in request:
            return False
        request = cast("Mapping[str, Any]", request)[key]
    return True
