"""Rules of the workspace, the machine and the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Note
from cloudtune_azure.settings import AzureSettings

SETTINGS = "providers.azure"
"""The path of the settings in a study."""
_PLACES = {
    "subscription": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "resource_group": re.compile(r"[\w().-]{0,89}[\w()-]"),
    "workspace": re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}"),
}
"""The names of subscriptions, resource groups and workspaces
(learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules, as known
2026-11-30)."""
_NAMES = {"compute": re.compile(r"[\w.-]+"), "datastore": re.compile(r"\w+")}
"""The names of clusters and datastores, without ``azureml:`` as in the YAML of ``az ml``."""
_EXPERIMENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}")
_CREDENTIAL = re.compile(r"://[^/\s@]+:[^/\s@]+@")
_ENVIRONMENT = re.compile(r"azureml:[^:@/]+(:|@)[^:@/]+|azureml://\S+|/subscriptions/\S+")


def settings_rules(settings: AzureSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings on the settings."""
    for name, pattern in _PLACES.items():
        value: str = facts.data[name]
        is_known = not facts.emulated and "{{" not in value
        if is_known and not pattern.fullmatch(value):
            yield Finding("refused", f"{SETTINGS}.{name}", f"not a name that Azure has: {value!r}")
    for name, pattern in _NAMES.items():
        value = getattr(settings, name) or "default"
        if not pattern.fullmatch(value):
            hint = f": write {value.removeprefix('azureml:')}" if "azureml:" in value else ""
            reason = f"must be a name in the workspace, not {value!r}{hint}"
            yield Finding("refused", f"{SETTINGS}.{name}", reason)
    if settings.experiment and not _EXPERIMENT.fullmatch(settings.experiment):
        reason = "use up to 255 letters, digits, - and _, and begin with a letter or a digit"
        yield Finding("refused", f"{SETTINGS}.experiment", reason)
    yield from _machine(settings)
    yield from _environment(settings)
    if settings.conda_file:
        yield from _conda(settings, facts)


def _conda(settings: AzureSettings, facts: Facts) -> Iterator[Finding | Note]:
    reason, text = "", facts.data["conda"]
    if not settings.image:
        reason = "Azure builds it on an image: set image, too"
    elif not text:
        reason = f"cannot read {settings.conda_file}, or it is empty"
    elif _CREDENTIAL.search(text):
        reason = "everyone who reads the workspace can see the password in an address: remove it"
    if reason:
        yield Finding("refused", f"{SETTINGS}.conda_file", reason)


def _machine(settings: AzureSettings) -> Iterator[Finding | Note]:
    if settings.compute and settings.instance_type:
        reason = "a cluster has its own machines: set compute or instance_type"
        yield Finding("refused", f"{SETTINGS}.instance_type", reason)
    if settings.compute and settings.spot:
        reason = "a cluster decides itself: create it with the priority low_priority"
        yield Finding("refused", f"{SETTINGS}.spot", reason)


def _environment(settings: AzureSettings) -> Iterator[Finding | Note]:
    if settings.environment and settings.image:
        reason = "set environment or image, not both"
        yield Finding("refused", f"{SETTINGS}.image", reason)
    elif settings.environment and not _ENVIRONMENT.fullmatch(settings.environment):
        reason = (
            "must be azureml:NAME:VERSION, azureml://registries/REGISTRY/environments/NAME/versions"
            "/VERSION or a full id; set image for a container image"
        )
        yield Finding("refused", f"{SETTINGS}.environment", reason)
