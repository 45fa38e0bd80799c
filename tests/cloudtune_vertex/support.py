"""Studies and plans for Vertex AI, without the rest of cloudtune."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_vertex import VertexProvider
from tests import plan_factory
from tests.plan_factory import Planned, planned, study_with

PREBUILT = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
OWN_IMAGE = "us-central1-docker.pkg.dev/my-project/images/train:1"
SETTINGS: Mapping[str, Any] = {
    "project": "my-project",
    "location": "us-central1",
    "bucket": "my-bucket",
    "image": PREBUILT,
    "machine_type": "n1-standard-4",
}
"""The required settings."""
PLAIN: Mapping[str, Any] = {
    **plan_factory.PLAIN,
    "strategy": {"name": "bayesian"},
    "limits": {
        "max_trials": 20,
        "parallel_trials": 2,
        "trial_timeout": "10m",
        "max_failed_trials": 3,
    },
}
"""A study without findings on Vertex AI."""


def study_of(over: Mapping[str, Any] = {}, **settings: Any) -> Study:
    """Return `PLAIN` with some fields replaced; settings that are None are omitted."""
    return study_with("vertex", {**SETTINGS, **settings}, over, PLAIN)


def plan_of(study: Study, base: Path, mode: Mode = "managed", *, emulated: bool = False) -> Planned:
    """Return the plan of a study in the folder ``base``."""
    return planned(VertexProvider(), study, base, mode, emulated=emulated)


def job_of(plan: Planned) -> Any:
    """Return a plan's tuning job or custom job."""
    return next(value for key, value in plan.request.items() if key != "parent")
