"""Rules of the driven mode, which runs one job for each start of a trial."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Finding, Note, Study
from cloudtune_ray.rules.settings import SETTINGS
from cloudtune_ray.settings import NAME, RaySettings

MANY_JOBS = 30
"""Running jobs above which the Jobs API became unstable
(https://github.com/ray-project/ray/issues/37894)."""
SUPERVISOR_MEGABYTES = 106
"""Memory of the process with which Ray supervises a running job, measured with 2.60.0."""


def training_rules(study: Study, settings: RaySettings) -> Iterator[Finding | Note]:
    """Yield what a job cannot do, and what many jobs mean for the cluster."""
    parallel = study.limits_for(NAME).parallel_trials or 1
    if parallel > MANY_JOBS:
        text = (
            f"{parallel} running jobs are many for Ray's Jobs API: each has a supervisor of "
            f"{SUPERVISOR_MEGABYTES} MB, and some {MANY_JOBS} at a time are known to work"
        )
        yield Note("limits.parallel_trials", text)
    if settings.storage:
        return
    if study.strategy.name == "hyperband" and study.strategy.resource:
        reason = f"each rung trains from scratch without {SETTINGS}.storage for checkpoints"
        yield Finding("approximated", "strategy.resource", reason)
    else:
        text = "without this, a trial that is repeated after the loss of its node has no checkpoint"
        yield Note(f"{SETTINGS}.storage", text)
