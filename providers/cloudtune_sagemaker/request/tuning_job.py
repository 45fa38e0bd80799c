"""The request of CreateHyperParameterTuningJob: what a run adds to the part of the study."""

from __future__ import annotations

from cloudtune.formats import Native
from cloudtune.provider import Facts, FittedStudy, Json, merge_json
from cloudtune_sagemaker.request.layout import run_tag
from cloudtune_sagemaker.request.run_part import resolve_settings, resolve_study, training_run_part
from cloudtune_sagemaker.request.study_part import study_part
from cloudtune_sagemaker.settings import SageMakerSettings

_LIST = "TrainingJobDefinitions"


def tuning_job(fitted: FittedStudy, settings: SageMakerSettings, facts: Facts) -> Json:
    """Return the request of the managed mode."""
    resolved = resolve_settings(settings, facts)
    request = study_part(resolve_study(fitted, facts), resolved, Native({}))
    training = training_run_part(fitted, settings, facts, "managed", facts.job_name)
    training["StaticHyperParameters"] = training.pop("HyperParameters")
    run: Json = {"HyperParameterTuningJobName": facts.job_name, "Tags": [run_tag(facts)]}
    if _LIST in request:
        names = [each["DefinitionName"] for each in request[_LIST]]
        run[_LIST] = [{"DefinitionName": name, **training} for name in names]
    else:
        run["TrainingJobDefinition"] = training
    merged: Json = merge_json(request, run)
    return merged
