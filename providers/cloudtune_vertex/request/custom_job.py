"""The custom job of a trial: the template of the driven mode, and a part of a tuning job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import trial
from cloudtune.provider import (
    Facts,
    FromEnvironment,
    Json,
    Study,
    has_code,
)
from cloudtune_vertex.request.layout import (
    JOB,
    JOB_LABEL,
    MODULE,
    RUN_LABEL,
    bootstrap_command,
    code_uri,
    escape,
    trial_output_uri,
)
from cloudtune_vertex.settings import VertexSettings

AFTER_STEP_VARIABLE = "CLOUDTUNE_AFTER_STEP"
"""The variable with the last step before a later start of a driven trial, for its launcher."""
JOB_VARIABLE = "CLOUDTUNE_JOB"
"""The variable with the name of a trial's start, for the launcher of a driven trial."""


def custom_job(study: Study, settings: VertexSettings, facts: Facts) -> Json:
    """Return the CustomJob of one trial of a fitted study."""
    spec = job_spec(study, settings, facts, trial_output_uri(facts), {JOB_VARIABLE: JOB})
    return {
        "displayName": JOB,
        "jobSpec": {**spec, **set_fields(persistentResourceId=settings.persistent_resource)},
        "labels": {**settings.labels, RUN_LABEL: facts.run_id, JOB_LABEL: JOB},
        **encryption(settings),
    }


def job_spec(
    study: Study,
    settings: VertexSettings,
    facts: Facts,
    output_uri: str,
    variables: Mapping[str, str],
) -> Json:
    """Return the CustomJobSpec of a trial, with the variables that cloudtune adds."""
    pool: Json = {
        "machineSpec": {"machineType": facts.data["machine_type"]},
        "replicaCount": "1",
        **set_fields(
            diskSpec=set_fields(bootDiskType=settings.disk_type, bootDiskSizeGb=settings.disk_gb)
        ),
        **_task(study, facts, variables),
    }
    if settings.accelerator_type:
        pool["machineSpec"] |= {
            "acceleratorType": settings.accelerator_type,
            "acceleratorCount": settings.accelerator_count or 1,
        }
    return {
        "workerPoolSpecs": [pool],
        **set_fields(
            scheduling=_scheduling(study, settings),
            serviceAccount=settings.service_account,
            network=settings.network,
        ),
        "baseOutputDirectory": {"outputUriPrefix": output_uri},
        **set_fields(enableWebAccess=settings.web_access),
    }


def fixed_args(study: Study, data: Mapping[str, Any]) -> list[str]:
    """Return the fixed arguments, with constants, of code that runs without the launcher."""
    call = {
        "args": study.trial.args,
        "arguments": "equals",
        "parameters": list(study.parameters),
    }
    return trial.command_line(call, study.constants, data["paths"], "")


def encryption(settings: VertexSettings) -> Json:
    """Return the field of a job with its key, if it has one."""
    return {"encryptionSpec": {"kmsKeyName": settings.kms_key}} if settings.kms_key else {}


def to_duration(seconds: float) -> str:
    """Return a duration in the JSON of protobuf."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def set_fields(**fields: Any) -> Json:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value}


def _task(study: Study, facts: Facts, variables: Mapping[str, str]) -> Json:
    """Return what the container runs: the launcher, a package of the user, or the image."""
    data, uri = facts.data, code_uri(facts, study)
    if uri:
        env = set_fields(env=_environment(study, variables))
        if data["prebuilt"]:
            return {"pythonPackageSpec": {**_package(data, uri, MODULE), **env}}
        return {
            "containerSpec": {"imageUri": data["image"], "command": bootstrap_command(uri), **env}
        }
    inputs = {trial.input_variable(name): path for name, path in data["paths"].items()}
    call = set_fields(
        args=fixed_args(study, data), env=_environment(study, {**inputs, **variables})
    )
    if has_code(study):
        package = _package(data, str(facts.lookup.code_address), study.trial.module or "")
        return {"pythonPackageSpec": {**package, **call}}
    return {"containerSpec": {"imageUri": data["image"], **call}}


def _package(data: Mapping[str, Any], uri: str, module: str) -> Json:
    return {"executorImageUri": data["image"], "packageUris": [uri], "pythonModule": module}


def _environment(study: Study, variables: Mapping[str, str]) -> list[Json]:
    env = {
        name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else escape(value)
        for name, value in study.trial.env.items()
    }
    return [{"name": name, "value": value} for name, value in {**env, **variables}.items()]


def _scheduling(study: Study, settings: VertexSettings) -> Json:
    scheduling: Json = {}
    if study.limits.trial_timeout:
        scheduling["timeout"] = to_duration(study.limits.trial_timeout)
    scheduling |= set_fields(restartJobOnWorkerRestart=settings.restart)
    if settings.spot:
        scheduling["strategy"] = "SPOT"
    elif settings.flex_start:
        scheduling["strategy"] = "FLEX_START"
        if settings.max_wait is not None:
            scheduling["maxWaitDuration"] = to_duration(settings.max_wait)
    return scheduling
