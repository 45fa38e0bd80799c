"""The doctor's checks of a workspace: read-only calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from cloudtune.provider import Check, Json, Plan, ProviderError, account, is_list, is_map
from cloudtune.provider.account import account_error, account_ok, account_warning, check_packages
from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import AzureError
from cloudtune_azure.quota import QUOTA_RIGHTS, check_quota
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import NAME, AzureSettings
from cloudtune_azure.storage import BlobStorage, datastore_address

T = TypeVar("T")
_VERSION = re.compile(r"azureml:([^:@/]+):([^:@/]+)")
_ACTION = "Microsoft.MachineLearningServices/workspaces"


def check_account(client: AzureClient, plan: Plan) -> Iterator[Check]:
    """Yield whether what the settings name is there, can be used, and suffices.

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
    location = ""
    if workspace is not None:
        location = workspace.get("location") or ""
        yield account_ok(id="workspace", message=f"the workspace in {location} can be read")
    machine = yield from _check_compute(client, plan, plan.settings)
    if location and machine is not None:
        name, is_spare = machine
        yield from _ask_quota(client, plan, location, name, is_spare=is_spare)
    yield from _check_environment(client, plan.settings)
    yield from _check_datastore(client, plan.settings)


def _ask_quota(
    client: AzureClient, plan: Plan, location: str, machine: str, *, is_spare: bool
) -> Iterator[Check]:
    """Yield the check of the quota, or that it cannot be seen."""
    checks = yield from _ask(
        lambda: [*check_quota(client, plan, location, machine, is_spare=is_spare)],
        "quota",
        f"whether the quota of {location} covers the trials that run at a time",
        f"{QUOTA_RIGHTS} on the subscription",
        _explain_quota,
    )
    yield from checks or ()


def _check_environment(client: AzureClient, settings: AzureSettings) -> Iterator[Check]:
    """Yield whether the workspace has a version of an environment; labels are not looked up."""
    found = _VERSION.fullmatch(settings.environment or "")
    if found is None or client.emulated:
        return
    name, version = found.groups()
    has_it = yield from _ask(
        lambda: client.has_environment(name, version),
        "environment",
        f"whether the workspace has the environment {name}:{version}",
        f"{_ACTION}/environments/read",
    )
    if has_it:
        yield account_ok(id="environment", message=f"the environment {name}:{version} is there")
    elif has_it is not None:
        yield account_error(
            id="environment",
            path=f"{SETTINGS}.environment",
            message=f"the workspace has no environment {name} of version {version}",
            fix="check its name and version",
            command=f"az ml environment list --name {name}",
        )


def _check_compute(
    client: AzureClient, plan: Plan, settings: AzureSettings
) -> Generator[Check, None, tuple[str, bool] | None]:
    """Return the type of the machines, if it is known, and whether they are spare capacity."""
    if settings.compute is None:
        return (settings.instance_type, settings.spot) if settings.instance_type else None
    name = settings.compute
    found = yield from _ask(
        lambda: [client.get_compute(name)],
        "compute",
        f"whether the workspace has the compute {name}",
        f"{_ACTION}/computes/read",
    )
    if found is None:
        return None
    (compute,) = found
    if compute is None:
        yield account_error(
            id="compute",
            path=f"{SETTINGS}.compute",
            message=f"the workspace has no compute {settings.compute}",
            fix="create it, or leave it out and set instance_type",
            command="az ml compute list",
        )
        return None
    properties: Json = compute["properties"]
    machine: Json = properties.get("properties") or {}
    scale: Json = machine.get("scaleSettings") or {}
    state, most = properties.get("provisioningState"), scale.get("maxNodeCount")
    size = machine.get("vmSize")
    if properties.get("computeType") == "ComputeInstance":
        most = 1
        state = machine.get("state") if state == "Succeeded" else state
    if state not in {"Succeeded", "Running"}:
        yield account_warning(
            id="compute",
            path=f"{SETTINGS}.compute",
            message=f"the compute {settings.compute} is {state}",
            fix="start it, or wait until it is ready",
        )
        return None
    nodes = f"has up to {most} nodes {size}" if most is not None and size else "is there"
    yield account_ok(id="compute", message=f"{settings.compute} {nodes}")
    for error in _errors(machine):
        yield account_warning(
            id="compute",
            path=f"{SETTINGS}.compute",
            message=f"{settings.compute} reports: {error}",
            fix="jobs may wait until this is mended",
            command=f"az ml compute show --name {settings.compute}",
        )
    parallel = plan.fitted.study.limits_for(NAME).parallel_trials or 1
    if isinstance(most, int) and parallel > most:
        yield account_warning(
            id="room",
            path="limits.parallel_trials",
            message=f"{name} has at most {most} nodes, and {parallel} trials are wanted",
            fix="lower it, or let the cluster have more nodes: the other trials wait",
        )
    return (size, machine.get("vmPriority") == "LowPriority") if isinstance(size, str) else None


def _errors(machine: Json) -> Iterator[str]:
    """Yield the errors of a cluster's nodes (AmlComputeProperties of azure-ai-ml 1.20.0)."""
    errors: Any = machine.get("errors")
    for each in errors if is_list(errors) else ():
        error: Any = each.get("error") if is_map(each) else None
        if is_map(error):
            yield f"{error.get('message') or ''} [{error.get('code')}]".strip()


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


def _explain(error: ProviderError) -> str | None:
    return "" if isinstance(error, AzureError) and error.code == 403 else None


def _explain_quota(error: ProviderError) -> str | None:
    """Return why the quota is unknown: not every region, or kind of machine, has the lists."""
    return _explain(error) if error.retryable or error.affects_all_calls else f"Azure says: {error}"


def _ask(
    call: Callable[[], T],
    id_: str,
    question: str,
    right: str,
    explain: Callable[[ProviderError], str | None] = _explain,
) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the right to it, yield that it is unknown.

    Raises:
        AzureError: If the call fails for any other reason.
    """
    path = f"{SETTINGS}.{id_}"
    otherwise = account.right_missing(id_, question, right, caller="your account", path=path)
    return (yield from account.ask(call, otherwise, explain))
