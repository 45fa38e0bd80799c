"""Plans for Ray from only the pure functions of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.study import Study
from cloudtune_ray import RayProvider
from tests.plan_factory import Planned, planned, study_with

ADDRESS = "http://127.0.0.1:8265"


def study_of(over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it, and over the settings."""
    return study_with("ray", {"address": ADDRESS, **settings}, over)


def plan_of(study: Study, base: Path, *, emulated: bool = False) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    return planned(RayProvider(), study, base, "driven", emulated=emulated)
