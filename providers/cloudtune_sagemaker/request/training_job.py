"""The request of CreateTrainingJob, for one trial of the driven mode."""

from __future__ import annotations

import math

from cloudtune.provider import Facts, FittedStudy, Json, merge_json
from cloudtune_sagemaker.request.layout import NUMBER, TRIAL_TAG, run_tag
from cloudtune_sagemaker.request.run_part import resolve_settings, resolve_study, training_run_part
from cloudtune_sagemaker.request.study_part import (
    machines,
    training_fields,
    user_tags,
    value_encoder,
)
from cloudtune_sagemaker.settings import SageMakerSettings


def training_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request; the runner adds the values of the trial."""
    name = f"{facts.job_name}-{NUMBER}"
    resolved = resolve_settings(settings, facts)
    types = resolved.instance_type or []
    encode = value_encoder(fitted.study)
    constants = {key: encode(value) for key, value in fitted.study.constants.items()}
    request: Json = {
        "TrainingJobName": name,
        "HyperParameters": constants,
        **training_fields(resolve_study(fitted, facts).study, resolved),
        **machines(resolved.model_copy(update={"instance_type": types[:1]})),
        "Tags": [*user_tags(settings), run_tag(facts), {"Key": TRIAL_TAG, "Value": NUMBER}],
    }
    request = merge_json(request, training_run_part(fitted, settings, facts, "driven", name))
    if request["AlgorithmSpecification"].get("MetricDefinitions"):
        request["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] = True
    resources = request["ResourceConfig"]
    if len(types) > 1:
        del resources["InstanceType"]
        resources["InstancePreferences"] = [{"InstanceType": each} for each in types]
    if settings.keep_alive:
        resources["KeepAlivePeriodInSeconds"] = math.ceil(settings.keep_alive)
    return request
