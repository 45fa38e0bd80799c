"""Checks ``native`` against the fields of ``CommandJob`` (REST API 2024-04-01)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.provider import Finding, Note, did_you_mean, is_map
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import REQUEST_FIELD

PROPERTIES = frozenset(
    {
        *("jobType", "componentId", "computeId", "description", "displayName", "experimentName"),
        *("identity", "isArchived", "notificationSetting", "properties", "services", "tags"),
        *("codeId", "command", "distribution", "environmentId", "environmentVariables", "inputs"),
        *("limits", "outputs", "queueSettings", "resources", "autologgerSettings"),
    }
)
_OF_BOTH = frozenset(
    {
        *("description", "identity", "inputs", "limits", "outputs", "properties", "resources"),
        *("services", "tags"),
    }
)
"""Fields of a request whose names a sweep job in YAML has, too."""


def native_rules(native: Mapping[str, Any], block: Mapping[str, Any]) -> Iterator[Finding | Note]:
    """Yield the fields that a job does not have.

    Args:
        native: The part of a request.
        block: The settings as the study has them, also with the fields of a sweep job.
    """
    path = f"{SETTINGS}.native"
    kept: Any = block.get("native")
    for key in sorted(kept.keys() - {REQUEST_FIELD}) if is_map(kept) else ():
        if key in PROPERTIES - _OF_BOTH:
            reason = f"a field of a job is below properties: set native.properties.{key}"
            yield Finding("refused", f"{path}.{key}", reason)
        else:
            yield Note(f"{path}.{key}", "kept for exports as a sweep job; jobs do not use it")
    properties: Any = native.get(REQUEST_FIELD)
    for key in sorted(properties.keys() - PROPERTIES) if is_map(properties) else ():
        hint = did_you_mean(key, PROPERTIES)
        reason = f"a command job has no such field{f'; {hint}' if hint else ''}"
        yield Finding("refused", f"{path}.properties.{key}", reason)
