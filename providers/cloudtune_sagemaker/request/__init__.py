"""Translates a fitted study into SageMaker's request.

In managed mode that is the request of CreateHyperParameterTuningJob. In driven mode it is the
template of CreateTrainingJob for one trial: ``{{number}}`` stands for the number of the trial, and
the runner adds the tuned values. In both, values from the caller's environment are shown as
``${NAME}``.
"""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json, Mode
from cloudtune_sagemaker.request.training_job import training_job
from cloudtune_sagemaker.request.tuning_job import tuning_job
from cloudtune_sagemaker.settings import SageMakerSettings


def request(fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    build = training_job if mode == "driven" else tuning_job
    return build(fitted, settings, facts)
