"""Checks ``native`` against the fields of ``CommandJob`` and ``SweepJob`` (REST API 2024-04-01)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.provider import Finding, Mode, Note, did_you_mean, is_map
from cloudtune_azure.native.names import RUN_FIELDS
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import REQUEST_FIELD

_OF_ALL = frozenset(
    {
        *("jobType", "componentId", "computeId", "description", "displayName", "experimentName"),
        *("identity", "isArchived", "notificationSetting", "properties", "services", "tags"),
        *("inputs", "limits", "outputs", "queueSettings"),
    }
)
PROPERTIES: Mapping[Mode, frozenset[str]] = {
    "driven": _OF_ALL
    | {
        *("codeId", "command", "distribution", "environmentId", "environmentVariables"),
        *("resources", "autologgerSettings"),
    },
    "managed": _OF_ALL
    | {"earlyTermination", "objective", "samplingAlgorithm", "searchSpace", "trial"},
}
_OF_BOTH = frozenset(
    {
        *("description", "identity", "inputs", "limits", "outputs", "properties", "resources"),
        *("services", "tags", "objective", "trial"),
    }
)
"""Fields of a request whose names a sweep job in YAML has, too."""


def native_rules(
    native: Mapping[str, Any], block: Mapping[str, Any], mode: Mode
) -> Iterator[Finding | Note]:
    """Yield the fields that a job does not have.

    Args:
        native: The part of a request.
        block: The settings as the study has them, also with the fields of a sweep job.
        mode: That of the plan.
    """
    fields = PROPERTIES[mode]
    sent = RUN_FIELDS if mode == "managed" else ()
    path = f"{SETTINGS}.native"
    kept: Any = block.get("native")
    for key in sorted(kept.keys() - {REQUEST_FIELD}) if is_map(kept) else ():
        if key in sent or key == "search_space":
            continue
        if key in fields - _OF_BOTH:
            reason = f"a field of a job is below properties: set native.properties.{key}"
            yield Finding("refused", f"{path}.{key}", reason)
        else:
            yield Note(f"{path}.{key}", "kept for exports as a sweep job; a run does not use it")
    properties: Any = native.get(REQUEST_FIELD)
    for key in sorted(properties.keys() - fields) if is_map(properties) else ():
        hint = did_you_mean(key, fields)
        kind = "sweep" if mode == "managed" else "command job"
        reason = f"a {kind} has no such field{f'; {hint}' if hint else ''}"
        yield Finding("refused", f"{path}.properties.{key}", reason)
