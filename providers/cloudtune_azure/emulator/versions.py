"""Which fields a job has in a version of the API.

By recordings of previews of 2022 and 2023, and for other versions by Microsoft's own models of them
(azure-ai-ml 1.20.0 and 1.35.2, _restclient, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudtune.emulator_kit import Json, is_map

_PREVIEWS = {
    "2022-10": ("autologgerSettings", "services.*.nodes"),
    "2022-12": ("outputs.*.assetName", "outputs.*.assetVersion", "samplingAlgorithm.logbase"),
    "2023-02": (
        *("notificationSetting", "queueSettings", "queueSettings.priority"),
        *("resources.locations", "trial.resources.locations"),
    ),
    "2023-04": (
        *("secretsConfiguration", "outputs.*.autoDeleteSetting"),
        *("resources.maxInstanceCount", "trial.resources.maxInstanceCount"),
    ),
    "2023-08": ("componentConfiguration",),
    "2024-01": ("outputs.*.pathOnCompute",),
}
"""The fields that jobs have since a preview."""
_LAST_PREVIEW = "2024-04"
"""Later previews have what stable versions have."""
_STABLE = {
    "2023-04": ("services.*.nodes",),
    "2023-10": ("queueSettings",),
    "2024-04": ("notificationSetting",),
    "2025-12": (
        *("outputs.*.assetName", "resources.dockerArgsList"),
        "trial.resources.dockerArgsList",
    ),
}
"""The fields that jobs have since a stable version."""
_ALL = {field for table in (_PREVIEWS, _STABLE) for fields in table.values() for field in fields}


def drop_unknown(properties: Json, version: str) -> None:
    """Remove the fields that a job has only in other versions of the API."""
    for field in _ALL.difference(_known(version)):
        _drop(properties, field.split("."))


def _known(version: str) -> Iterator[str]:
    date = version[: len("2022-10")]
    is_preview = version.endswith("-preview") and date <= _LAST_PREVIEW
    for since, fields in (_PREVIEWS if is_preview else _STABLE).items():
        yield from fields if since <= date else ()


def _drop(part: Any, path: list[str]) -> None:
    """Remove a field, whose path may have ``*`` for any entry."""
    if not is_map(part):
        return
    name, *rest = path
    if not rest:
        part.pop(name, None)
        return
    for key in list(part) if name == "*" else [name]:
        _drop(part.get(key), rest)
