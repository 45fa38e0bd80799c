"""Plans for Ray from only the pure functions of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.study import Study
from cloudtune_ray import RayProvider
from tests.plan_factory import Planned, planned

ADDRESS = "http://127.0.0.1:8265"
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
    given = {"address": ADDRESS, **settings}
    own = {key: value for key, value in given.items() if value is not None}
    return Study.model_validate({**PLAIN, **over, "providers": {"ray": own}})


def plan_of(study: Study, base: Path, *, emulated: bool = False) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    return planned(RayProvider(), study, base, "driven", emulated=emulated)
