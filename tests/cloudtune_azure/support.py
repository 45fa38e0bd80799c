"""Plans for Azure from only the pure functions of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_azure import AzureProvider
from tests.plan_factory import Planned, planned, study_with

SETTINGS = {
    "subscription": "00000000-0000-4000-8000-000000000001",
    "resource_group": "group",
    "workspace": "work",
    "compute": "cpu-cluster",
    "environment": "azureml:sklearn:5",
}


def study_of(over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it, and over the settings."""
    return study_with("azure", {**SETTINGS, **settings}, over)


def plan_of(study: Study, base: Path, mode: Mode = "driven", *, emulated: bool = False) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    return planned(AzureProvider(), study, base, mode, emulated=emulated)
