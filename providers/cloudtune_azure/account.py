"""The doctor's checks of a workspace: read-only calls."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_warning, check_packages
from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import AzureError
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import NAME, AzureSettings
from cloudtune_azure.storage import BlobStorage, datastore_address

_STORAGE_ROLE = (
    "your account needs the role Storage Blob Data Contributor on the storage account of the "
    "workspace"
)


def check_account(client: AzureClient, plan: Plan) -> Iterator[Check]:
    """Yield whether the workspace, the cluster and the datastore are there and can be used.

    Raises, also while the checks are read:
        AzureError: If Azure cannot be reached, or nobody is signed in.
    """
    assert isinstance(plan.settings, AzureSettings)
    if not client.emulated:
        yield from check_packages("azure")
    if plan.facts.lookup.missing_settings and not client.emulated:
        return
    try:
        workspace = client.get_workspace()
    except AzureError as error:
        if error.code not in {403, 404}:
            raise
        yield account_error(
            id="workspace",
            path=f"{SETTINGS}.workspace",
            message=f"the workspace cannot be read: {error.text or error}",
            fix="check its name, and that you have the role AzureML Data Scientist in it",
            command="az ml workspace list",
        )
        return
    location = workspace.get("location")
    yield account_ok(id="workspace", message=f"the workspace in {location} can be read")
    yield from _check_compute(client, plan, plan.settings)
    yield from _check_datastore(client, plan.settings)


def _check_compute(client: AzureClient, plan: Plan, settings: AzureSettings) -> Iterator[Check]:
    if settings.compute is None:
        return
    compute = client.get_compute(settings.compute)
    if compute is None:
        yield account_error(
            id="compute",
            path=f"{SETTINGS}.compute",
            message=f"the workspace has no compute {settings.compute}",
            fix="create it, or leave it out and set instance_type",
            command="az ml compute list",
        )
        return
    properties: Json = compute["properties"]
    machine: Json = properties.get("properties") or {}
    scale: Json = machine.get("scaleSettings") or {}
    state, most = properties.get("provisioningState"), scale.get("maxNodeCount")
    if state != "Succeeded":
        yield account_warning(
            id="compute",
            path=f"{SETTINGS}.compute",
            message=f"the compute {settings.compute} is {state}",
            fix="wait until it is ready; jobs wait for it",
        )
        return
    yield account_ok(
        id="compute", message=f"{settings.compute} has up to {most} nodes {machine.get('vmSize')}"
    )
    parallel = plan.fitted.study.limits_for(NAME).parallel_trials or 1
    if isinstance(most, int) and parallel > most:
        yield account_warning(
            id="room",
            path="limits.parallel_trials",
            message=f"the cluster has at most {most} nodes, and {parallel} trials are wanted",
            fix="lower it, or let the cluster have more nodes: the other trials wait",
        )


def _check_datastore(client: AzureClient, settings: AzureSettings) -> Iterator[Check]:
    path = f"{SETTINGS}.datastore"
    try:
        BlobStorage(client).exists(datastore_address(settings.datastore, "cloudtune", "check"))
    except AzureError as error:
        if error.retryable or error.code == 401:
            raise
        yield account_error(
            id="datastore",
            path=path,
            message=f"the datastore {settings.datastore} cannot be read: {error.text or error}",
            fix=_STORAGE_ROLE if error.code == 403 else "check its name",
            command="az ml datastore list",
        )
        return
    yield account_ok(id="datastore", message=f"the datastore {settings.datastore} can be read")
