"""The fields of a study behind the defaults of a request.

The request has these values even if the study sets none of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_JOB = "hyperparameterTuningJob"
_POOL = "workerPoolSpecs.*.replicaCount"

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    f"{_JOB}.maxTrialCount": ("limits.max_trials", "providers.vertex.limits.max_trials"),
    f"{_JOB}.parallelTrialCount": (
        "limits.parallel_trials",
        "providers.vertex.limits.parallel_trials",
    ),
    f"{_JOB}.maxFailedTrialCount": (
        "limits.max_failed_trials",
        "providers.vertex.limits.max_failed_trials",
    ),
    f"{_JOB}.studySpec.algorithm": ("strategy",),
    f"{_JOB}.trialJobSpec.{_POOL}": (),
    f"customJob.jobSpec.{_POOL}": (),
}
