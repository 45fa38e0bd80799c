"""``native``: the study's own changes to a provider's request, in the service's spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from cloudtune.diagnostics import Finding, Note
from cloudtune.study.merge import entry_key, identity, is_list_of_maps, merge_json
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

Path = tuple[str, ...]


def merge(
    request: Json,
    native: Mapping[str, Any],
    *,
    provider: str,
    protected_paths: Sequence[str],
    study_fields: Mapping[str, Sequence[str]] = MappingProxyType({}),
    study: Study | None = None,
) -> tuple[Json, list[Finding | Note]]:
    """Return a request merged with a ``native`` block, and findings and notes about the changes.

    Maps are merged by key, and null removes a key. Lists of maps are merged by the key that
    identifies an entry, else by position; other lists are replaced. The block may not touch the
    protected dotted paths; ``*`` in a path matches any entry.

    A change of a value that the study sets is a finding. It is a note if the value is a default,
    because the study sets none of the fields that determine it.
    """
    prefix = f"providers.{provider}.native"
    findings: list[Finding | Note] = []
    for path in _leaves(native, ()) if native else ():
        field = ".".join(path)
        if any(_overlap(path, protected.split(".")) for protected in protected_paths):
            reason = "cloudtune needs this field to find jobs and results; it cannot be replaced"
            findings.append(Finding("refused", f"{prefix}.{field}", reason))
        elif _exists(request, path):
            fields = _determining_fields(path, study_fields)
            if fields is not None and not any(_is_set(study, name) for name in fields):
                text = f"replaces cloudtune's default of {field}, which the study does not set"
                findings.append(Note(f"{prefix}.{field}", text))
                continue
            known = [name for name in fields or () if _is_set(study, name)]
            origin = " and ".join(known) or "the study"
            reason = f"replaces {field} of the request, which follows from {origin}"
            findings.append(Finding("approximated", f"{prefix}.{field}", reason))
    return cast("Json", merge_json(request, native)), findings


def _determining_fields(
    path: Path, study_fields: Mapping[str, Sequence[str]]
) -> Sequence[str] | None:
    """Return the fields that determine a path; None if it always follows from the study."""
    for pattern, fields in study_fields.items():
        steps = pattern.split(".")
        if len(steps) == len(path) and _overlap(path, steps):
            return fields
    return None


def _is_set(study: Study | None, field: str) -> bool:
    """Return whether the study sets a field, for any provider or for one of them."""
    data: Any = None if study is None else study.model_dump(exclude_unset=True)
    for key in field.split("."):
        data = cast("Mapping[str, Any]", data).get(key) if isinstance(data, Mapping) else None
    return data is not None


def _entries(value: Any) -> Mapping[str, Any] | None:
    """Return the entries of a map, or of a list of maps by their identifying key or position."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    if not value or not is_list_of_maps(value):
        return None
    maps = cast("list[Json]", value)
    key = entry_key(maps)
    return {
        str(index) if key is None else str(identity(entry, key)): _without(entry, key)
        for index, entry in enumerate(maps)
    }


def _without(entry: Json, key: str | None) -> Json:
    """Return an entry without what identifies it, at a key that may have dots."""
    first, _, rest = (key or "").partition(".")
    if rest:
        return {k: _without(v, rest) if k == first else v for k, v in entry.items()}
    return {k: v for k, v in entry.items() if k != first}


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    entries = _entries(value)
    if entries:
        for key, inner in entries.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path


def _overlap(path: Path, protected: Sequence[str]) -> bool:
    """Return whether one path is, or contains, the other."""
    return all(name in (step, "*") for step, name in zip(path, protected, strict=False))


def _exists(request: Any, path: Path) -> bool:
    for key in path:
        entries = _entries(request)
        if entries is None or key not in entries:
            return False
        request = entries[key]
    return True
