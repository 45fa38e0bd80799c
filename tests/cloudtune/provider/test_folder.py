"""Each file of a provider's folder has the functions that its provider calls, with their types.

mypy does not see these calls, since the files are imported when a function is first needed.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cloudtune.provider import FolderProvider, ServiceProvider, registry

OF_FOLDERS = {
    "lookup.lookup": ("Study", "SETTINGS", "Facts", "Lookup"),
    "rules.rules": ("FittedStudy", "Mode", "SETTINGS", "Facts", "list[Finding | Note]"),
    "request.request": ("FittedStudy", "Mode", "SETTINGS", "Facts", "Json"),
    "outline.outline": ("Plan", "Mapping[str, str]"),
    "account.check_account": ("CLIENT", "Plan", "Iterator[Check]"),
    "uploads.find_uploads": ("CLIENT", "Plan", "Uploads"),
}
OF_SERVICES = {
    "tuning_client.TuningClient": ("CLIENT", "Plan", "JobContext", "None"),
    "job_description.job_settings": ("str", "Json"),
    "job_description.describe_job": ("CLIENT", "str", "Plan", "JobDescription"),
    "policy.policies": ("Plan", "Iterator[Policy]"),
    "console.read_log": ("CLIENT", "str", "Iterator[str]"),
    "trial_files.trial_files": ("CLIENT", "Plan", "Trial", "Started", "TrialFiles"),
    "trial_files.emulated_files": ("JobContext", "Plan", "Trial", "Started", "TrialFiles"),
}
"""The functions, with the types of what they get and return."""
ALSO_OVERRIDDEN = {("slurm", "uploads.find_uploads")}
"""What a provider has in a method instead."""


def functions() -> list[tuple[str, str, tuple[str, ...]]]:
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for name in registry.names():
        provider: Any = registry.get(name)
        tables = [OF_FOLDERS] if isinstance(provider, FolderProvider) else []
        tables += [OF_SERVICES] if isinstance(provider, ServiceProvider) else []
        found += [(name, place, types) for table in tables for place, types in table.items()]
    return [each for each in found if each[:2] not in ALSO_OVERRIDDEN]


def client_type(provider: Any) -> str:
    own = inspect.signature(provider.connect).return_annotation
    if own != "Any":
        return str(own)
    return str(inspect.signature(provider.file("client").connect).return_annotation)


@pytest.mark.parametrize(("name", "place", "types"), functions())
def test_a_file_of_the_folder_has_the_function(
    name: str, place: str, types: tuple[str, ...]
) -> None:
    provider: Any = registry.get(name)
    file, _, function = place.partition(".")
    own = {"SETTINGS": provider.settings.__name__, "CLIENT": client_type(provider)}
    signature = inspect.signature(getattr(provider.file(file), function))
    found = [each.annotation for each in signature.parameters.values()]
    assert [*found, signature.return_annotation] == [own.get(each, each) for each in types]
