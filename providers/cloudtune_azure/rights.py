"""The rights that a run needs: of the caller on the workspace, and on the storage account.

A test compares the table with the calls of whole runs on the emulator. The names, and which call
needs which right, are not verified against the live service; `az provider operation show` lists
the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cloudtune.provider import Plan
from cloudtune.provider.account import Right
from cloudtune_azure.settings import AzureSettings

On = Literal["workspace", "storage"]
_WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_IMAGE = f"{_WORKSPACE}/environments/versions/write"
_LABEL = f"{_WORKSPACE}/environments/versions/read"
CALLER: Sequence[Right[On]] = (
    Right(f"{_WORKSPACE}/jobs/write", "workspace"),
    Right(f"{_WORKSPACE}/jobs/read", "workspace"),
    Right(f"{_WORKSPACE}/jobs/cancel/action", "workspace"),
    Right(f"{_WORKSPACE}/codes/versions/read", "workspace"),
    Right(f"{_WORKSPACE}/codes/versions/write", "workspace"),
    Right(_IMAGE, "workspace", unseen="only with `image`"),
    Right(_LABEL, "workspace", unseen="only with an environment's label"),
    Right(f"{_WORKSPACE}/read", "workspace", ("managed",)),
    Right(
        f"{_WORKSPACE}/datastores/read",
        "workspace",
        unseen="only of runs with local inputs, and of outputs",
    ),
    Right(f"{_WORKSPACE}/experiments/runs/read", "workspace"),
    Right(f"{_BLOBS}/read", "storage"),
    Right(f"{_BLOBS}/write", "storage"),
    Right(f"{_BLOBS}/delete", "storage", unseen="only of runs with local inputs, and of outputs"),
)
"""The rights of the caller."""
TRIALS: Sequence[str] = (f"{_BLOBS}/read", f"{_BLOBS}/write")
"""The rights of the identity of the jobs."""
DOCTOR: Sequence[str] = tuple(
    f"{_WORKSPACE}/{each}" for each in ("read", "computes/read", "environments/read")
)
"""The rights that only the doctor uses; without one, it reports what it cannot see."""


def caller_rights(plan: Plan, on: On) -> list[Right[On]]:
    """Return the rights that the caller of a run needs on something."""
    settings = plan.settings
    assert isinstance(settings, AzureSettings)
    return [
        each
        for each in CALLER
        if each.on == on
        and plan.mode in each.modes
        and (settings.image is not None or each.action != _IMAGE)
        and (str(settings.environment).endswith("@latest") or each.action != _LABEL)
    ]
