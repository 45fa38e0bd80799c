"""The lookup of the Azure provider. It does not call Azure.

An unknown value becomes a visible placeholder, such as ``{{workspace}}``.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import Facts, Inputs, Lookup, Price, ServiceLimits, Study
from cloudtune.provider.lookup import local_lookup, required_pythons_of
from cloudtune.provider.uploads import shared_inputs
from cloudtune_azure.console import jobs_url, run_url
from cloudtune_azure.settings import NAME, AzureSettings, workspace_id
from cloudtune_azure.storage import datastore_address

_PLACE = {
    "subscription": ("AZURE_SUBSCRIPTION_ID", "the id of your subscription"),
    "resource_group": ("AZURE_RESOURCE_GROUP", "the resource group of the workspace"),
    "workspace": ("AZURE_WORKSPACE", "the name of an Azure Machine Learning workspace"),
}
"""The variables and the meaning of the settings that name the workspace."""
EMULATED_ENVIRONMENT = "azureml:emulated:1"
_ENVIRONMENT = (
    "set the environment of trials, such as azureml:NAME:VERSION, or an image with Python"
)
_DATA = re.compile(r"azureml:([^:@/]+):([^:@/]+)")
"""A data asset of the workspace. Jobs have its id (command_job_builder in tests/recordings)."""
_MACHINE = "set a compute cluster, or the instance_type of serverless compute"


def lookup(study: Study, settings: AzureSettings, facts: Facts) -> Lookup:
    """Return what is known of the workspace and of this machine."""
    data: dict[str, Any] = {"pythons": required_pythons_of(study, facts)}
    missing: dict[str, str] = {}
    for name, (variable, meaning) in _PLACE.items():
        value = getattr(settings, name) or ("" if facts.emulated else os.environ.get(variable))
        data[name] = value or ("emulated" if facts.emulated else f"{{{{{name}}}}}")
        if not value and not facts.emulated:
            missing[name] = f"set {meaning}, or {variable}"
    environment = settings.environment or (EMULATED_ENVIRONMENT if facts.emulated else None)
    data["environment"] = environment or "{{environment}}"
    if not (environment or settings.image):
        missing["environment"] = _ENVIRONMENT
    if not (settings.compute or settings.instance_type or facts.emulated):
        missing["compute"] = _MACHINE
    if settings.conda_file:
        data["conda"] = _read(facts.base / settings.conda_file)
    base = datastore_address(settings.datastore, "cloudtune")
    inputs = shared_inputs(study, facts, NAME, base, is_remote=_is_remote)
    prices = settings.prices
    return replace(
        local_lookup(study, facts, NAME),
        price=Price.hourly(*prices.hour, "from providers.azure.prices") if prices else "",
        limits=ServiceLimits(
            uncounted=("the time in which a machine starts and gets its image", "storage")
        ),
        missing_settings=missing,
        inputs=inputs,
        links={"managed": jobs_url(data), "driven": jobs_url(data)},
        job_links={"managed": run_url(data, "{job}")},
        data=data | {"inputs": _job_inputs(inputs, workspace_id(data))},
    )


def _read(file: Path) -> str | None:
    """Return the text of a file; None if it cannot be read."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_remote(address: str) -> bool:
    return "://" in address or _DATA.fullmatch(address) is not None


def _job_inputs(inputs: Inputs, workspace: str) -> dict[str, dict[str, str]]:
    """Return the inputs as a job has them: files, or folders if their name has no extension."""
    found: dict[str, dict[str, str]] = {}
    for name, address in inputs.addresses.items():
        if address is None:
            continue
        uri, local = address, inputs.uploads.get(name)
        is_file = bool(posixpath.splitext(address)[1])
        if data := _DATA.fullmatch(address):
            uri = f"{workspace}/data/{data[1]}/versions/{data[2]}"
            is_file = bool(posixpath.splitext(data[1])[1])
        if local is not None:
            is_file = Path(local).is_file()
            uri = f"{address}/{Path(local).name}" if is_file else f"{address}/"
        found[name] = {"jobInputType": "uri_file" if is_file else "uri_folder", "uri": uri}
    return found
