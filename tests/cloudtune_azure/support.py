"""Plans for Azure from only the pure functions of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_azure import AzureProvider
from tests.plan_factory import Planned, planned

WORKSPACE = {
    "subscription": "00000000-0000-4000-8000-000000000001",
    "resource_group": "group",
    "workspace": "work",
    "compute": "cpu-cluster",
    "environment": "azureml:sklearn:5",
}
PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 20, "parallel_trials": 2},
    "trial": {"script": "train.py"},
}


def study_of(over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it, and over the settings."""
    given = {**WORKSPACE, **settings}
    own = {key: value for key, value in given.items() if value is not None}
    return Study.model_validate({**PLAIN, **over, "providers": {"azure": own}})


def plan_of(study: Study, base: Path, mode: Mode = "driven", *, emulated: bool = False) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    return planned(AzureProvider(), study, base, mode, emulated=emulated)
