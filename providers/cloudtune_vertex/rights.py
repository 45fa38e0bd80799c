"""The permissions that a run needs: of the caller on the project and the bucket, and of the trials.

A test compares the tables with the calls of whole runs on the emulator. Names: IAM permissions
reference, as far as calls of REST name theirs (read 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cloudtune.provider import Mode, Plan
from cloudtune.provider.account import Right
from cloudtune_vertex.settings import VertexSettings

On = Literal["project", "bucket", "service account", "impersonated account"]


_MANAGED: Sequence[Mode] = ("managed",)
_DRIVEN: Sequence[Mode] = ("driven",)
_TUNING = "aiplatform.hyperparameterTuningJobs"
_CUSTOM = "aiplatform.customJobs"
CALLER: Sequence[Right[On]] = (
    Right(f"{_TUNING}.create", "project", _MANAGED),
    Right(f"{_TUNING}.get", "project", _MANAGED),
    Right(f"{_TUNING}.list", "project", _MANAGED),
    Right(f"{_TUNING}.cancel", "project", _MANAGED),
    Right(f"{_CUSTOM}.create", "project", _DRIVEN),
    Right(f"{_CUSTOM}.get", "project"),
    Right(f"{_CUSTOM}.list", "project", _DRIVEN),
    Right(f"{_CUSTOM}.cancel", "project", _DRIVEN),
    Right(
        "logging.logEntries.list",
        "project",
        without="`cloudtune logs` prints only the address of the log",
        unseen="the emulator has no Cloud Logging",
    ),
    Right("storage.objects.create", "bucket"),
    Right("storage.objects.delete", "bucket"),
    Right("storage.objects.get", "bucket"),
    Right("storage.objects.list", "bucket"),
    Right("iam.serviceAccounts.actAs", "service account", unseen="the emulator has no accounts"),
    Right(
        "iam.serviceAccounts.getAccessToken",
        "impersonated account",
        unseen="the emulator has no accounts",
    ),
)
"""The permissions of the caller, or of the account that it impersonates."""
TRIALS: Sequence[Right[On]] = tuple(
    Right(f"storage.objects.{verb}", "bucket") for verb in ("create", "delete", "get", "list")
)
"""The permissions of the trials' service account."""
DOCTOR: Sequence[str] = (
    "artifactregistry.tags.get",
    "cloudquotas.quotas.get",
    "serviceusage.services.get",
)
"""The permissions that only the doctor uses; without one, it reports what it cannot see."""
PERSISTENT_RESOURCE = "aiplatform.persistentResources.get"
"""The same, for trials on a persistent resource."""
APIS: Sequence[str] = ("aiplatform.googleapis.com", "storage.googleapis.com")
"""The APIs that a run calls."""


def doctor_rights(plan: Plan) -> list[str]:
    """Return the permissions that only the doctor uses for a run."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    on_resource = settings.persistent_resource and plan.mode == "driven"
    return [*DOCTOR, *([PERSISTENT_RESOURCE] if on_resource else [])]


def caller_rights(plan: Plan, on: On) -> list[Right[On]]:
    """Return the permissions that the caller of a run needs on something."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    if on == "service account" and not settings.service_account:
        return []
    if on == "impersonated account" and not settings.impersonate:
        return []
    return [each for each in CALLER if each.on == on and plan.mode in each.modes]
