"""The doctor's checks of a workspace: read-only calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from cloudtune.provider import Check, Json, Plan, ProviderError, account
from cloudtune.provider.account import account_error, account_ok, account_warning, check_packages
from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import AzureError
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import NAME, AzureSettings
from cloudtune_azure.storage import BlobStorage, datastore_address

T = TypeVar("T")
_ACTION = "Microsoft.MachineLearningServices/workspaces"


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
        workspace = yield from _ask(
            client.get_workspace,
            "workspace",
            "whether the workspace can be used",
            f"{_ACTION}/read",
        )
    except AzureError as error:
        if not error.not_found:
            raise
        yield account_error(
            id="workspace",
            path=f"{SETTINGS}.workspace",
            message=f"there is no such workspace: {error.text or error}",
            fix="check its name, its resource group and its subscription",
            command="az ml workspace list",
        )
        return
    if workspace is not None:
        location = workspace.get("location")
        yield account_ok(id="workspace", message=f"the workspace in {location} can be read")
    yield from _check_compute(client, plan, plan.settings)
    yield from _check_datastore(client, plan.settings)


def _check_compute(client: AzureClient, plan: Plan, settings: AzureSettings) -> Iterator[Check]:
    if settings.compute is None:
        return
    name = settings.compute
    found = yield from _ask(
        lambda: [client.get_compute(name)],
        "compute",
        f"whether the workspace has the compute {name}",
        f"{_ACTION}/computes/read",
    )
    if found is None:
        return
    (compute,) = found
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
    storage, name = BlobStorage(client), settings.datastore
    try:
        found = yield from _ask(
            lambda: storage.exists(datastore_address(name, "cloudtune", "check")),
            "datastore",
            f"whether local inputs, `fetch` and `clean --remote` can use the datastore {name}",
            "the role Storage Blob Data Contributor on its storage account",
        )
    except AzureError as error:
        if not error.not_found:
            raise
        yield account_error(
            id="datastore",
            path=f"{SETTINGS}.datastore",
            message=f"the workspace has no datastore {name}, or its container is gone",
            fix="check its name",
            command="az ml datastore list",
        )
        return
    if found is not None:
        yield account_ok(id="datastore", message=f"the datastore {name} can be read")


def _ask(
    call: Callable[[], T], id_: str, question: str, right: str
) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the right to it, yield that it is unknown.

    Raises:
        AzureError: If the call fails for any other reason.
    """
    path = f"{SETTINGS}.{id_}"
    otherwise = account.right_missing(id_, question, right, caller="your account", path=path)
    return (yield from account.ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    return "" if isinstance(error, AzureError) and error.code == 403 else None
