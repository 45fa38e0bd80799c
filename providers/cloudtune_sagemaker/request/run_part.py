"""The part of a request that a run adds: names, the launcher, uploads, and what nobody set."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cloudtune.formats import compact
from cloudtune.provider import PROGRAM, Facts, FittedStudy, Input, Json, Mode, Study
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune_sagemaker.request.layout import (
    CHECKPOINTS,
    CODE_CHANNEL,
    NUMBER,
    archive_uri,
    checkpoints_uri,
    job_prefix,
    submit_directory,
)
from cloudtune_sagemaker.request.metric_regex import launcher_regex
from cloudtune_sagemaker.request.study_part import JOB_PREFIX, channel, one_regex
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

DEFAULT_TRIAL_SECONDS = 24 * 3600
"""SageMaker's own time limit of a training job."""


def resolve_settings(settings: SageMakerSettings, facts: Facts) -> SageMakerSettings:
    """Return the settings with the values that were looked up."""
    names = {"image": "image", "role_arn": "role_arn", "instance_type": "instance_types"}
    return settings.model_copy(update={key: facts.data[name] for key, name in names.items()})


def resolve_study(fitted: FittedStudy, facts: Facts) -> FittedStudy:
    """Return the study with the addresses of its inputs and parents, and limits that nobody set."""
    study = fitted.study
    inputs: dict[str, dict[str, Input]] = {}
    for name, uri in facts.lookup.inputs.addresses.items():
        address = input_address(study, NAME, name, emulated=facts.emulated)
        if uri:
            content_type = address.content_type if address else None
            inputs[name] = {"*": Input(uri=uri, content_type=content_type)}
    start = study.warm_start
    parents = [f"{JOB_PREFIX}{name}" for name in facts.parent_jobs]
    update: dict[str, Any] = {
        "strategy": study.strategy.model_copy(update={"seed": facts.seed}),
        "limits": study.limits.model_copy(update={"trial_timeout": max_trial_seconds(study)}),
        "trial": study.trial.model_copy(update={"inputs": inputs}),
        "warm_start": start and start.model_copy(update={"from_": parents}),
    }
    return replace(fitted, study=study.model_copy(update=update))


def training_run_part(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts, mode: Mode, job: str
) -> Json:
    """Return what a run adds to a training job, or to a training definition of a tuning job."""
    study = fitted.study
    trial = NUMBER if mode == "driven" else ""
    part: Json = {
        "HyperParameters": toolkit_parameters(fitted, settings, facts, job),
        "OutputDataConfig": {"S3OutputPath": f"{job_prefix(facts.data, facts.job_name)}/output"},
    }
    if uses_launcher(study, facts) and not settings.algorithm:
        definitions = metric_definitions(study, settings, facts)
        metrics = [{"Name": name, "Regex": regex} for name, regex in definitions.items()]
        part["AlgorithmSpecification"] = compact(MetricDefinitions=metrics)
    if settings.network_isolation and has_code(study):
        code = channel(CODE_CHANNEL, archive_uri(fitted, facts))
        part["InputDataConfig"] = [{**code, "InputMode": "File"}]
    if saves_checkpoints(study, settings, facts, mode):
        uri = checkpoints_uri(facts.data, facts.job_name, trial)
        part["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": CHECKPOINTS}
    return part


def toolkit_parameters(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts, job: str
) -> dict[str, str]:
    """Return what SageMaker's training toolkit needs to run the code; empty without code."""
    study = fitted.study
    if not has_code(study):
        return {}
    return {
        "sagemaker_program": PROGRAM if uses_launcher(study, facts) else study.trial.script or "",
        "sagemaker_submit_directory": submit_directory(fitted, settings, facts),
        "sagemaker_container_log_level": "20",
        "sagemaker_region": facts.data["region"],
        "sagemaker_job_name": job,
    }


def metric_definitions(study: Study, settings: SageMakerSettings, facts: Facts) -> dict[str, str]:
    """Return the regex of each metric that SageMaker reads from the log."""
    if settings.algorithm:
        return {}
    if uses_launcher(study, facts):
        names = [*(objective.metric for objective in study.objectives), *study.trial.metrics]
        return {name: launcher_regex(name) for name in names}
    metrics = study.trial.metrics
    return {name: one_regex(regexes) for name, regexes in metrics.items() if regexes}


def max_trial_seconds(study: Study) -> int:
    """Return the time limit of one trial in seconds."""
    timeout = study.limits.trial_timeout
    return math.ceil(timeout) if timeout else DEFAULT_TRIAL_SECONDS


def saves_checkpoints(study: Study, settings: SageMakerSettings, facts: Facts, mode: Mode) -> bool:
    """Return whether the checkpoints of a trial are saved in the bucket.

    A tuning job has one address for the checkpoints of all trials (CheckpointConfig of
    HyperParameterTrainingJobDefinition, botocore 1.44.8), and each trial starts with all files
    there (developer guide, model-checkpoints-resume, read 2026-11-27). So by default, managed
    trials save checkpoints only where they may be interrupted, and only with the launcher, which
    gives each trial its own folder.
    """
    if settings.checkpoints is not None:
        return settings.checkpoints
    return mode == "driven" or (settings.spot and uses_launcher(study, facts))
