"""``native``: what a study puts over a provider's request, in the service's own spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from cloudtune.diagnostics import Finding
from cloudtune.study.schema import Json

Path = tuple[str, ...]

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
    request: Json, native: Mapping[str, Any], *, provider: str, protected_paths: Sequence[str]
) -> tuple[Json, list[Finding]]:
    """Return a request with a study's own words put over it, and what is worth saying about that.

    Maps are merged by key, null removes, lists of maps are merged by the key that names an entry,
    else by position, and other lists are replaced.

    Args:
        request: What was made from the study. It is not changed.
        native: What is put over it.
        provider: Under whose settings it stands.
        protected_paths: Paths that it may not touch; ``*`` stands for any name of an entry.
    """
    start = f"providers.{provider}.native"
    findings: list[Finding] = []
    for path in _leaves(native, ()) if native else ():
        said = ".".join(path)
        if any(_meet(path, own.split(".")) for own in protected_paths):
            reason = "cloudtune finds its jobs and results by this; it cannot be replaced"
            findings.append(Finding("refused", f"{start}.{said}", reason))
        elif _reaches(request, path):
            reason = f"replaces what the study says: {said} of the request is this instead"
            findings.append(Finding("approximated", f"{start}.{said}", reason))
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
    key = _key_of([*old, *new])
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


def _key_of(entries: Sequence[Json]) -> str | None:
    return next((key for key in _KEYS if all(key in entry for entry in entries)), None)


def _of_maps(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_map, cast("list[object]", value)))


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _entries(value: Any) -> Mapping[str, Any] | None:
    """Return what lies in a map, or in a list of maps by what names each or its place."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    if not value or not _of_maps(value):
        return None
    listed = cast("list[Json]", value)
    key = _key_of(listed)
    return {
        str(place) if key is None else str(entry[key]): {k: v for k, v in entry.items() if k != key}
        for place, entry in enumerate(listed)
    }


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    entries = _entries(value)
    if entries:
        for key, inner in entries.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path


def _meet(path: Path, protected_paths: Sequence[str]) -> bool:
    """Tell whether one of two paths leads to or through the end of the other."""
    return all(own in (step, "*") for step, own in zip(path, protected_paths, strict=False))


def _reaches(request: Any, path: Path) -> bool:
    for key in path:
        entries = _entries(request)
        if entries is None or key not in entries:
            return False
        request = entries[key]
    return True
