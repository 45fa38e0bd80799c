"""Checks ``native`` against the fields of ``CommandJob`` and ``SweepJob`` (REST API 2024-04-01)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.formats import map_at
from cloudtune.provider import Finding, Mode, Note, Study, did_you_mean, is_map
from cloudtune_azure.native.names import RUN_FIELDS
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import NAME, REQUEST_FIELD, AzureSettings

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
        "resources",
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
_ONE_NODE = ("instance_count", 1)


def native_rules(settings: AzureSettings, study: Study, mode: Mode) -> Iterator[Finding | Note]:
    """Yield the fields that a job does not have, or that a run does not take from a sweep job.

    Args:
        settings: The settings, also those from an imported sweep job.
        study: The study as it is given, also with the fields of the sweep job.
        mode: That of the plan.
    """
    fields = PROPERTIES[mode]
    sent = RUN_FIELDS if mode == "managed" else ()
    path = f"{SETTINGS}.native"
    kept = map_at(study.providers.get(NAME, {}), "native")
    for key in sorted(kept.keys() - {REQUEST_FIELD}):
        if key in sent or key == "search_space":
            continue
        if key in fields - _OF_BOTH:
            reason = f"a field of a job is below properties: set native.properties.{key}"
            yield Finding("refused", f"{path}.{key}", reason)
        else:
            text = "kept for exports as a sweep job; a run does not use it"
            if key in {"compute", "identity", "trial"}:
                text = "a run takes its machine and environment, unless the settings have them"
            yield Note(f"{path}.{key}", text)
    yield from _dropped(kept, settings, study, mode)
    properties: Any = settings.native.get(REQUEST_FIELD)
    for key in sorted(properties.keys() - fields) if is_map(properties) else ():
        hint = did_you_mean(key, fields)
        kind = "sweep" if mode == "managed" else "command job"
        reason = f"a {kind} has no such field{f'; {hint}' if hint else ''}"
        yield Finding("refused", f"{path}.properties.{key}", reason)


def _dropped(
    kept: Mapping[str, Any], settings: AzureSettings, study: Study, mode: Mode
) -> Iterator[Finding]:
    """Yield how an imported sweep job starts its trials, unless the study says that, too."""
    path, trial = f"{SETTINGS}.native", map_at(kept, "trial")
    sent, place = map_at(kept, REQUEST_FIELD), f"{path}.{REQUEST_FIELD}"
    part, below = (map_at(sent, "trial"), f"{place}.trial") if mode == "managed" else (sent, place)
    resources = {
        name: value
        for name, value in map_at(trial, "resources").items()
        if (name, value) != _ONE_NODE and getattr(settings, name, None) is None
    }
    for key, value, instead, is_set in (
        ("identity", kept.get("identity"), f"{SETTINGS}.identity", settings.identity),
        (
            "queue_settings",
            kept.get("queue_settings"),
            f"{SETTINGS}.spot or {place}.queueSettings",
            settings.spot or "queueSettings" in sent,
        ),
        (
            "trial.environment_variables",
            trial.get("environment_variables"),
            "trial.env",
            study.trial.env,
        ),
        ("trial.resources", resources, f"{below}.resources", "resources" in part),
        (
            "trial.distribution",
            trial.get("distribution"),
            f"{below}.distribution",
            "distribution" in part,
        ),
    ):
        if value and not is_set:
            yield Finding("dropped", f"{path}.{key}", f"a run does not use it: set {instead}")
