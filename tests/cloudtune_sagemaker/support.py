"""Plans for SageMaker without the rest of cloudtune around them: what the pure half makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_sagemaker import SagemakerProvider
from tests import plan_factory
from tests.plan_factory import Planned, planned, study_with

ROLE = "arn:aws:iam::123456789012:role/tuning"
SETTINGS: Mapping[str, Any] = {
    "region": "us-east-1",
    "role_arn": ROLE,
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "instance_type": "ml.m5.large",
}
"""All that a job needs."""
PLAIN: Mapping[str, Any] = {
    **plan_factory.PLAIN,
    "strategy": {"name": "bayesian"},
    "limits": {"max_trials": 20, "parallel_trials": 2, "trial_timeout": "10m"},
}
"""A study to which SageMaker has nothing to say."""


def study_of(over: Mapping[str, Any] = {}, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it; a setting that is None is left out."""
    return study_with("sagemaker", {**SETTINGS, **settings}, over, PLAIN)


def plan_of(
    study: Study,
    base: Path,
    mode: Mode = "managed",
    *,
    emulated: bool = False,
    parent_jobs: Sequence[str] = (),
) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``."""
    return planned(
        SagemakerProvider(), study, base, mode, emulated=emulated, parent_jobs=parent_jobs
    )
