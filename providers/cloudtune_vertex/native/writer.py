"""Writes a study as a tuning job of Vertex AI, with only what the study says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from cloudtune.provider import (
    FromEnvironment,
    Json,
    Report,
    Study,
    compact,
    format_value,
    locate_code,
    merge_json,
    native_block,
    parse_duration,
    report_arguments,
    report_stopping,
    report_unsupported,
    write_parameter_specs,
)
from cloudtune_vertex.native.names import ALGORITHMS, GOALS, JOB
from cloudtune_vertex.settings import NAME

_UNSUPPORTED = {
    "description": "a tuning job has no description; use a label",
    "initial_trials": "a tuning job takes no first trials",
    "warm_start": "a tuning job does not learn from other jobs",
    "limits.max_cost": "Vertex AI knows no cost",
    "strategy.seed": "Vertex AI has no seeds",
    "strategy.method": "Vertex AI chooses the algorithm itself",
    "trial.metrics": "Vertex AI reads no log; the code must report with hypertune",
    "trial.select": "Vertex AI keeps the last value of other metrics",
    "trial.requirements": "put them into the image or the package",
    "trial.command": "set containerSpec.command under native",
    "trial.inputs": "Vertex AI has no inputs; name them in trial.args",
    "trial.switches": "Vertex AI passes values as they are",
    "trial.resources": "set the machine type",
}


def write_job(study: Study, report: Report) -> Json:
    """Return the HyperparameterTuningJob of a study, with ``providers.vertex.native`` merged in."""
    settings: Mapping[str, Any] = study.providers.get(NAME, {})
    native = native_block(study, NAME).get(JOB, {})
    report_unsupported(study, report, _UNSUPPORTED)
    report_arguments(study, report, "Vertex AI")
    limits = study.limits
    job: Json = compact(displayName=study.name)
    job["studySpec"] = _study_spec(study, report)
    job |= compact(maxTrialCount=limits.max_trials, parallelTrialCount=limits.parallel_trials)
    if limits.max_failed_trials is not None:
        job["maxFailedTrialCount"] = limits.max_failed_trials + 1
    job |= compact(
        trialJobSpec=_job_spec(study, settings, report),
        labels=settings.get("labels"),
        encryptionSpec=compact(kmsKeyName=settings.get("kms_key")),
    )
    return cast("Json", merge_json(job, native))


def _study_spec(study: Study, report: Report) -> Json:
    goals = {ours: theirs for theirs, ours in GOALS.items()}
    names = {ours: theirs for theirs, ours in ALGORITHMS.items()}
    strategy = study.strategy.name
    spec: Json = {
        "metrics": [
            {"metricId": each.metric, "goal": goals[each.goal]} for each in study.objectives
        ],
        "parameters": write_parameter_specs(study, report, "Vertex AI"),
    }
    if strategy not in names:
        report.refuse("strategy.name", "Vertex AI has bayesian, random and grid search")
    elif strategy != "bayesian":
        spec["algorithm"] = names[strategy]
    selections = {each.select for each in study.objectives}
    if len(selections) > 1:
        report.approximate("objective", "Vertex AI selects the same measurement for all metrics")
    if "best" in selections:
        spec["measurementSelectionType"] = "BEST_MEASUREMENT"
    for number, objective in enumerate(study.objectives):
        if objective.target is not None:
            path = f"{study.objective_path(number)}.target"
            report.drop(path, "a tuning job does not end at a target")
    if stopping := study.early_stopping:
        if stopping.rule in {"auto", "median"}:
            spec["medianAutomatedStoppingSpec"] = {}
            report_stopping(study, report, "Vertex AI")
        else:
            report.drop("early_stopping", f"Vertex AI has no rule {stopping.rule}")
    ending: Json = {}
    if study.limits.timeout:
        ending["maximumRuntimeConstraint"] = {"maxDuration": _duration(study.limits.timeout)}
    ending |= compact(maxNumTrialsNoProgress=study.limits.patience)
    if ending:
        spec["studyStoppingConfig"] = {"shouldStopAsap": True, **ending}
    return spec


def _job_spec(study: Study, settings: Mapping[str, Any], report: Report) -> Json:
    accelerator = settings.get("accelerator_type")
    pool = compact(
        machineSpec=compact(
            machineType=settings.get("machine_type"),
            acceleratorType=accelerator,
            acceleratorCount=settings.get("accelerator_count", 1) if accelerator else None,
        ),
        diskSpec=compact(
            bootDiskType=settings.get("disk_type"), bootDiskSizeGb=settings.get("disk_gb")
        ),
        **_task(study, settings, report),
    )
    strategy = (
        "SPOT" if settings.get("spot") else "FLEX_START" if settings.get("flex_start") else ""
    )
    timeout, wait = study.limits.trial_timeout, settings.get("max_wait")
    scheduling = compact(
        timeout=_duration(timeout) if timeout else None,
        restartJobOnWorkerRestart=settings.get("restart") or None,
        strategy=strategy,
        maxWaitDuration=_duration(parse_duration(wait)) if wait and strategy else None,
    )
    return compact(
        workerPoolSpecs=[pool] if pool else [],
        scheduling=scheduling,
        serviceAccount=settings.get("service_account"),
        network=settings.get("network"),
        baseOutputDirectory=compact(outputUriPrefix=_output(settings)),
        enableWebAccess=settings.get("web_access") or None,
    )


def _task(study: Study, settings: Mapping[str, Any], report: Report) -> Json:
    fixed = [f"--{name}={format_value(value)}" for name, value in study.constants.items()]
    call = compact(args=[*study.trial.args, *fixed], env=_environment(study, report))
    source = study.trial.source or {}
    address = source.get(NAME) or source.get("*") or ""
    if "://" in address and study.trial.module:
        package = compact(executorImageUri=settings.get("image"), packageUris=[address])
        return {"pythonPackageSpec": {**package, "pythonModule": study.trial.module, **call}}
    for field in ("script", "module"):
        if getattr(study.trial, field):
            report.drop(
                f"trial.{field}",
                f"{locate_code(study, NAME)}: build a package or an image, and set "
                f"trial.source.{NAME} with trial.module, or the image",
            )
    container = compact(imageUri=settings.get("image"), **call)
    return {"containerSpec": container} if container else {}


def _environment(study: Study, report: Report) -> list[Json]:
    variables: list[Json] = []
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            report.drop(f"trial.env.{name}", "only `cloudtune run` reads variables of this shell")
        else:
            variables.append({"name": name, "value": value.replace("$(", "$$(")})
    return variables


def _output(settings: Mapping[str, Any]) -> str | None:
    bucket, prefix = settings.get("bucket"), settings.get("prefix", "cloudtune")
    if not bucket:
        return None
    return f"gs://{bucket}" + ("/" if prefix == "/" else f"/{prefix}" if prefix else "")


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
