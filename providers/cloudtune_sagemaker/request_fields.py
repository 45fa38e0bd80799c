"""The fields of a study behind the defaults of a request.

The request has these values even if the study sets none of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_TRIAL: Mapping[str, Sequence[str]] = {
    "StoppingCondition.MaxRuntimeInSeconds": (
        "limits.trial_timeout",
        "providers.sagemaker.limits.trial_timeout",
    ),
    "StoppingCondition.MaxWaitTimeInSeconds": (
        "limits.trial_timeout",
        "providers.sagemaker.limits.trial_timeout",
        "providers.sagemaker.max_wait",
    ),
    "ResourceConfig.InstanceCount": ("providers.sagemaker.instance_count",),
    "ResourceConfig.VolumeSizeInGB": ("providers.sagemaker.volume_size",),
    "AlgorithmSpecification.TrainingInputMode": ("providers.sagemaker.input_mode",),
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": (),
    "CheckpointConfig.LocalPath": (),
    "StaticHyperParameters.sagemaker_container_log_level": (),
    "HyperParameters.sagemaker_container_log_level": (),
}
_JOB = "HyperParameterTuningJobConfig"

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    **_TRIAL,
    **{f"TrainingJobDefinition.{path}": fields for path, fields in _TRIAL.items()},
    f"{_JOB}.Strategy": ("strategy",),
    f"{_JOB}.RandomSeed": ("strategy.seed",),
    f"{_JOB}.TrainingJobEarlyStoppingType": ("early_stopping",),
    f"{_JOB}.ResourceLimits.MaxNumberOfTrainingJobs": (
        "limits.max_trials",
        "providers.sagemaker.limits.max_trials",
    ),
    f"{_JOB}.ResourceLimits.MaxParallelTrainingJobs": (
        "limits.parallel_trials",
        "providers.sagemaker.limits.parallel_trials",
    ),
}
