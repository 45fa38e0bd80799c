"""The clusters, datastores and environments of a workspace; the machines and quota of a region."""

from __future__ import annotations

import time

from cloudtune.emulator_kit import Json
from cloudtune_azure.emulator import views
from cloudtune_azure.emulator.blobs import ACCOUNT, DEFAULT_DATASTORE

_MACHINE = "Standard_DS2_v2"
_CORES = 2
QUOTA = 200
"""vCPUs of the region."""
NO_NAME = "CliV2AnonymousEnvironment"
"""The name of the environments that clients register without one."""


def compute(path: str) -> Json:
    """Return a cluster (asset_compute_create_and_delete)."""
    machine = {
        "vmSize": _MACHINE.upper(),
        "vmPriority": "Dedicated",
        "scaleSettings": {
            "maxNodeCount": QUOTA // _CORES,
            "minNodeCount": 0,
            "nodeIdleTimeBeforeScaleDown": "PT2M",
        },
        "allocationState": "Steady",
        "errors": None,
        "osType": "Linux",
    }
    properties = {
        "computeType": "AmlCompute",
        "provisioningState": "Succeeded",
        "provisioningErrors": None,
        "properties": machine,
    }
    return views.resource(path, "computes", properties, time.time())


def size() -> Json:
    """Return the type of machine (sample of Virtual Machine Sizes - List)."""
    price = {"retailPrice": 0.0, "osType": "Linux", "vmTier": "Standard"}
    return {
        "name": _MACHINE,
        "family": "standardDSv2Family",
        "vCPUs": _CORES,
        "gpus": 0,
        "osVhdSizeMB": 1047552,
        "maxResourceVolumeMB": 14336,
        "memoryGB": 7.0,
        "lowPriorityCapable": True,
        "premiumIO": True,
        "estimatedVMPrices": {
            "billingCurrency": "USD",
            "unitOfMeasure": "OneHour",
            "values": [price],
        },
    }


def usage(subscription: str, running: int, limit: int) -> Json:
    """Return the quota of a region, of which running jobs use some (sample of Usages - List)."""
    name = "Total Cluster Dedicated Regional vCPUs"
    return {
        "id": f"/subscriptions/{subscription}/usages",
        "type": "Microsoft.MachineLearningServices/dedicatedCores/usages",
        "currentValue": _CORES * running,
        "limit": limit,
        "name": {"localizedValue": name, "value": name},
        "unit": "Count",
    }


def datastore(path: str) -> Json:
    """Return a datastore, with a container of its name."""
    name = path.rpartition("/")[2]
    properties = {
        "description": None,
        "tags": None,
        "properties": None,
        "isDefault": name == DEFAULT_DATASTORE,
        "credentials": {"credentialsType": "AccountKey"},
        "datastoreType": "AzureBlob",
        "accountName": ACCOUNT,
        "containerName": name,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "None",
    }
    return views.resource(path, "datastores", properties, time.time())


def environment(path: str) -> Json:
    """Return a version of an environment: an image, as those that Microsoft maintains."""
    properties: Json = {
        "description": None,
        "tags": {},
        "properties": {},
        "isArchived": False,
        "isAnonymous": False,
        "environmentType": "Curated",
        "image": "mcr.microsoft.com/azureml/emulated",
        "osType": "Linux",
    }
    return views.resource(path, "environments/versions", properties, time.time())
