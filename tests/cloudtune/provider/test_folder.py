"""Each file of a provider's folder has the functions that its provider calls, as it calls them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cloudtune.provider import FolderProvider, ServiceProvider, registry

OF_FOLDERS = {
    "lookup.lookup": 3,
    "rules.rules": 4,
    "request.request": 4,
    "outline.outline": 1,
    "account.check_account": 2,
    "uploads.find_uploads": 2,
}
OF_SERVICES = {
    "tuning_client.TuningClient": 3,
    "job_description.job_settings": 1,
    "job_description.describe_job": 3,
    "policy.policies": 1,
    "console.read_log": 2,
    "trial_files.trial_files": 4,
    "trial_files.emulated_files": 4,
}
"""The functions, and how many arguments they get."""
ALSO_OVERRIDDEN = {("slurm", "uploads.find_uploads")}
"""What a provider has in a method instead."""


def functions() -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    for name in registry.names():
        provider: Any = registry.get(name)
        tables = [OF_FOLDERS] if isinstance(provider, FolderProvider) else []
        tables += [OF_SERVICES] if isinstance(provider, ServiceProvider) else []
        found += [(name, place, count) for table in tables for place, count in table.items()]
    return [each for each in found if each[:2] not in ALSO_OVERRIDDEN]


@pytest.mark.parametrize(("name", "place", "count"), functions())
def test_a_file_of_the_folder_has_the_function(name: str, place: str, count: int) -> None:
    provider: Any = registry.get(name)
    file, _, function = place.partition(".")
    inspect.signature(getattr(provider.file(file), function)).bind(*range(count))
