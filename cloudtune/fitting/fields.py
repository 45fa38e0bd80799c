"""Drop the fields of a study that a provider or tool cannot express.

Deny by default: of each field that a study sets, either `fit` knows what to do with it, or the
capabilities name it. A new key of the study is therefore a finding everywhere until they do.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from cloudtune.diagnostics import Finding
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.study.fields import StudyFields
from cloudtune.study.yaml_reader import is_list, is_map

_FITTED = frozenset(
    [
        *("version", "name", "providers", "limits", "initial_trials", "warm_start"),
        *("objective.metric", "objective.goal", "objective.target", "objective.select"),
        *("strategy.name", "strategy.method", "strategy.seed", "early_stopping.rule"),
        *(
            f"parameters.*.{key}"
            for key in ("type", "min", "max", "step", "values", "scale", "when")
        ),
    ]
)
"""The fields for which `fit` has rules of its own."""
_ONLY_HERE = "only a run on this machine uses it"
_REASONS = {"trial.python": _ONLY_HERE, "trial.warm": _ONLY_HERE, "trial.preload": _ONLY_HERE}
_BLOCKS = frozenset(["strategy", "early_stopping", "objective"])
"""The blocks whose fields are dropped one by one. Those of ``trial`` are, too, unless there is a
reason for the whole block."""

_M = TypeVar("_M", bound=BaseModel)


def unsupported_fields(study: StudyFields, support: ModeCapabilities, title: str) -> list[Finding]:
    """Return a finding for each field that a study sets and nobody supports."""
    findings: dict[str, Finding] = {}
    supported = _FITTED | support.fields
    rule = study.early_stopping.rule if study.early_stopping else ""
    data = study.to_json()
    for keys in _leaves(data, ()) if data else ():
        names = [key for key in keys if isinstance(key, str)]
        if names[0] == "strategy" and study.strategy.name not in support.strategies:
            continue  # the strategy is refused as a whole
        known = ["parameters", "*", *names[2:]] if names[0] == "parameters" else names
        if _is_in(supported, known) or _is_in(supported, [names[0], rule, *names[1:]]):
            continue
        length = _reason_length(names, support)
        is_block = names[0] in _BLOCKS or (names[0] == "trial" and not length)
        length = max(length, 2 if is_block else 1)
        path = ".".join(names[:length])
        reason = support.reason(path, _REASONS.get(path, f"{title} has no {path}"))
        findings.setdefault(path, Finding("dropped", path, reason))
    return list(findings.values())


def drop_fields(study: _M, findings: Sequence[Finding]) -> _M:
    """Return a study without the fields that findings drop."""
    for finding in findings:
        if finding.kind == "dropped":
            study = _without(study, finding.path.split("."))
    return study


def _leaves(data: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yield the keys of each value, with the positions in lists of maps."""
    if is_map(data) and data:
        for key, value in data.items():
            yield from _leaves(value, (*keys, key))
    elif is_list(data) and any(map(is_map, data)):
        for index, value in enumerate(data):
            yield from _leaves(value, (*keys, index))
    else:
        yield keys


def _is_in(supported: Collection[str], names: Sequence[str]) -> bool:
    """Return whether a field is supported, or what it is in."""
    return any(path in supported for path in itertools.accumulate(names, "{}.{}".format))


def _reason_length(names: Sequence[str], support: ModeCapabilities) -> int:
    """Return the number of keys of the field whose reason counts; 0 if none does."""
    lengths = range(len(names), 0, -1)
    return next((n for n in lengths if ".".join(names[:n]) in support.reasons), 0)


def _without(value: Any, keys: Sequence[str]) -> Any:
    """Return a part of a study without a field, which has its default then."""
    if not keys:
        return value
    key, inner = keys[0], keys[1:]
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        name = next((n for n, field in fields.items() if key in {n, field.alias}), None)
        if name is None:
            return value
        if inner:
            return value.model_copy(update={name: _without(getattr(value, name), inner)})
        field = fields[name]
        default = getattr(value, name) if field.is_required() else field.get_default()
        return value.model_copy(update={name: default})
    if is_map(value):
        return _without_key(value, keys)
    if is_list(value):
        index = int(key) if key.isdigit() else 0
        rest = inner if key.isdigit() else keys
        return [_without(item, rest) if n == index else item for n, item in enumerate(value)]
    return value


def _without_key(value: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return a map whose keys may have dots without a value, or without a part of it."""
    for length in range(1, len(keys) + 1):
        key, inner = ".".join(keys[:length]), keys[length:]
        if key in value and inner:
            return value | {key: _without(value[key], inner)}
        if key in value:
            return {name: item for name, item in value.items() if name != key}
    return value
