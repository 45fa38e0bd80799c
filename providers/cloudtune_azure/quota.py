"""Whether the quota of vCPUs suffices for the trials that run at a time, and what a machine costs.

The calls and fields are those of Usages - List and Virtual Machine Sizes - List (REST reference of
Azure Machine Learning, read 2026-12-01; not verified against the live service). A family of
machines has a quota of its own, too; how its name follows from that of a machine is not documented.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_ok, account_warning
from cloudtune_azure.client import AzureClient
from cloudtune_azure.settings import NAME, AzureSettings

TOTALS = {
    False: "Total Cluster Dedicated Regional vCPUs",
    True: "Total Cluster LowPriority Regional vCPUs",
}
"""The quotas of a region, by whether the machines are spare capacity."""
QUOTA_RIGHTS = "Microsoft.MachineLearningServices/locations/usages/read and locations/vmSizes/read"


def check_quota(
    client: AzureClient, plan: Plan, location: str, machine: str, *, is_spare: bool
) -> Iterator[Check]:
    """Yield whether a region's quota of vCPUs covers the trials that run at a time.

    Raises:
        AzureError: If a call fails.
    """
    assert isinstance(plan.settings, AzureSettings)
    sizes = {str(each["name"]).lower(): each for each in client.machine_sizes(location)}
    size = sizes.get(machine.lower())
    if size is None and client.emulated:
        return  # the emulator has any machine
    if size is None:
        yield account_warning(
            id="quota",
            path=f"providers.{NAME}.instance_type",
            message=f"{location} has no machine {machine}",
            fix="take one that the region has",
            command=f"az ml compute list-sizes --location {location}",
        )
        return
    cores = int(size["vCPUs"])
    price = _price(size, is_spare=is_spare)
    costs = f", and costs {price} an hour by Azure's list" if price else ""
    usages = client.usages(location)
    quota = next((each for each in usages if each["name"]["value"] == TOTALS[is_spare]), None)
    if quota is None or quota["limit"] < 0:  # -1: none is set
        yield account_ok(id="quota", message=f"{machine} has {cores} vCPUs{costs}")
        return
    most, used = int(quota["limit"]), int(quota["currentValue"])
    parallel = plan.fitted.study.limits_for(NAME).parallel_trials or 1
    wanted = parallel * cores
    if wanted > most - used:
        yield account_warning(
            id="quota",
            path="limits.parallel_trials",
            message=f"{parallel} trials at a time need {wanted} vCPUs; {TOTALS[is_spare]} in"
            f" {location} is {most}, and {used} are in use",
            fix="lower it, or ask Azure for more: the other trials wait",
            command=f"az ml compute list-usage --location {location}",
        )
        return
    yield account_ok(
        id="quota",
        message=f"{machine} has {cores} vCPUs{costs}; {most - used} of {most} vCPUs are free",
    )


def _price(size: Json, *, is_spare: bool) -> str:
    """Return Azure's price of an hour of a machine; nothing if the list has none."""
    listed: Json = size.get("estimatedVMPrices") or {}
    tiers = {"LowPriority", "Spot"} if is_spare else {"Standard"}
    for each in listed.get("values") or ():
        if each.get("osType") == "Linux" and each.get("vmTier") in tiers:
            return f"{each.get('retailPrice')} {listed.get('billingCurrency')}"
    return ""
