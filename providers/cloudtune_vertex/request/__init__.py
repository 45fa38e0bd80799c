"""A fitted study as the request that Vertex AI takes, in the JSON of its REST API.

Managed it is that of projects.locations.hyperparameterTuningJobs.create. Driven it is that of
projects.locations.customJobs.create for one trial: what differs from start to start stands in it as
`cloudtune_vertex.request.layout.NUMBER` and `JOB`, and the flags are added to its ``args``. Both
show what comes from the caller's environment as ``${NAME}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import trial
from cloudtune.provider import (
    Facts,
    FittedStudy,
    FromEnvironment,
    Json,
    Mode,
    Study,
    has_code,
    uses_launcher,
)
from cloudtune_vertex.request.layout import (
    JOB,
    MODULE,
    bootstrap,
    escape,
    output,
    source,
    trial_output,
)
from cloudtune_vertex.request.parameters import combinations, specs
from cloudtune_vertex.settings import VertexSettings

RUN_LABEL = "cloudtune-run"
JOB_LABEL = "cloudtune-job"
JOB_VARIABLE = "CLOUDTUNE_JOB"
"""Tells a driven trial's launcher the name of its start."""
ALGORITHMS = {
    "bayesian": "ALGORITHM_UNSPECIFIED",
    "random": "RANDOM_SEARCH",
    "grid": "GRID_SEARCH",
}
"""Bayesian search is what the service does where none is named."""
SELECTIONS = {"last": "LAST_MEASUREMENT", "best": "BEST_MEASUREMENT"}


def request(fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    parent = f"projects/{facts.data['project']}/locations/{facts.data['location']}"
    if mode == "driven":
        return {"parent": parent, "customJob": _custom_job(fitted.study, settings, facts)}
    return {"parent": parent, "hyperparameterTuningJob": _tuning_job(fitted, settings, facts)}


def most_trials(study: Study) -> int | None:
    """Return how many trials a tuning job may start, which Vertex AI must be told.

    A grid ends with its combinations. None where the study names no number.

    Args:
        study: As it was fitted.
    """
    wanted = study.limits.max_trials
    size = combinations(study) if study.strategy.name == "grid" else None
    return min((n for n in (wanted, size) if n is not None), default=None)


def most_failures(study: Study) -> int | None:
    """Return at how many failed trials a tuning job ends, which must be no more than all of them.

    Never 0, which would leave it to the service: that ends a job when its first trial fails.

    Args:
        study: As it was fitted.
    """
    most, tolerated = most_trials(study), study.limits.max_failed_trials
    if most is None:
        return None if tolerated is None else tolerated + 1
    return most if tolerated is None else min(most, tolerated + 1)


def duration(seconds: float) -> str:
    """Return a length of time in the JSON of protobuf."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def environment(study: Study, own: Mapping[str, str]) -> list[Json]:
    """Return the variables of a container; what the service would expand in them is escaped."""
    said = {
        name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else escape(value)
        for name, value in study.trial.env.items()
    }
    return [{"name": name, "value": value} for name, value in {**said, **own}.items()]


def words(study: Study, data: Mapping[str, Any]) -> list[str]:
    """Return the fixed words of code that no launcher of ours starts, constants among them."""
    call = {
        "args": study.trial.args,
        "arguments": "equals",
        "parameters": list(study.parameters),
    }
    return trial.command_line(call, study.constants, data["paths"], "")


def _tuning_job(fitted: FittedStudy, settings: VertexSettings, facts: Facts) -> Json:
    study = fitted.study
    job: Json = {"displayName": facts.job_name, "studySpec": _study_spec(study, facts)}
    job |= _given("maxTrialCount", most_trials(study))
    job["parallelTrialCount"] = study.limits.parallel_trials or 1
    job |= _given("maxFailedTrialCount", most_failures(study))
    job["trialJobSpec"] = _job_spec(study, settings, facts, output(facts), {})
    job["labels"] = {**settings.labels, RUN_LABEL: facts.run_id}
    return {**job, **_encryption(settings)}


def _custom_job(study: Study, settings: VertexSettings, facts: Facts) -> Json:
    variables = {JOB_VARIABLE: JOB}
    return {
        "displayName": JOB,
        "jobSpec": _job_spec(study, settings, facts, trial_output(facts), variables),
        "labels": {**settings.labels, RUN_LABEL: facts.run_id, JOB_LABEL: JOB},
        **_encryption(settings),
    }


def _study_spec(study: Study, facts: Facts) -> Json:
    objectives = study.objectives
    spec: Json = {
        "metrics": [
            {"metricId": objective.metric, "goal": objective.goal.upper()}
            for objective in objectives
        ],
        "parameters": specs(study),
        "algorithm": ALGORITHMS.get(study.strategy.name, study.strategy.name),
        "measurementSelectionType": SELECTIONS[_selection(study, facts)],
    }
    if study.early_stopping:
        spec["medianAutomatedStoppingSpec"] = {"useElapsedDuration": False}
    stopping: Json = {}
    if study.limits.timeout:
        stopping["maximumRuntimeConstraint"] = {"maxDuration": duration(study.limits.timeout)}
    if study.limits.patience and len(objectives) == 1:
        stopping["maxNumTrialsNoProgress"] = study.limits.patience
    if stopping:
        spec["studyStoppingConfig"] = {"shouldStopAsap": True, **stopping}
    return spec


def _selection(study: Study, facts: Facts) -> str:
    """Return which measurement of a trial counts.

    What is the best of several objectives is documented nowhere. There the last is asked for, in
    which our launcher says of each objective the value that counts.
    """
    selections = [objective.select for objective in study.objectives]
    if len(selections) > 1 and uses_launcher(study, facts):
        return "last"
    return next(iter(selections), "last")


def _job_spec(
    study: Study,
    settings: VertexSettings,
    facts: Facts,
    folder: str,
    variables: Mapping[str, str],
) -> Json:
    pool: Json = {
        "machineSpec": _machine(settings, facts),
        "replicaCount": "1",
        **_disk(settings),
        **_task(study, facts, variables),
    }
    spec: Json = {"workerPoolSpecs": [pool]}
    spec |= _given("scheduling", _scheduling(study, settings))
    spec |= _given("serviceAccount", settings.service_account)
    spec |= _given("network", settings.network)
    spec["baseOutputDirectory"] = {"outputUriPrefix": folder}
    return {**spec, **_given("enableWebAccess", settings.web_access)}


def _task(study: Study, facts: Facts, variables: Mapping[str, str]) -> Json:
    """Return what runs in the container: our launcher, a package of the user's, or the image."""
    data, brought = facts.data, source(facts, study)
    if brought:
        env = _given("env", environment(study, variables))
        if data["prebuilt"]:
            return {"pythonPackageSpec": {**_package(data, brought, MODULE), **env}}
        command = bootstrap(brought)
        return {"containerSpec": {"imageUri": data["image"], "command": command, **env}}
    inputs = {trial.input_variable(name): path for name, path in data["paths"].items()}
    rest = {
        **_given("args", words(study, data)),
        **_given("env", environment(study, {**inputs, **variables})),
    }
    if has_code(study):
        package = _package(data, str(facts.lookup.code_address), study.trial.module or "")
        return {"pythonPackageSpec": {**package, **rest}}
    return {"containerSpec": {"imageUri": data["image"], **rest}}


def _package(data: Mapping[str, Any], uri: str, module: str) -> Json:
    return {"executorImageUri": data["image"], "packageUris": [uri], "pythonModule": module}


def _machine(settings: VertexSettings, facts: Facts) -> Json:
    machine: Json = {"machineType": facts.data["machine_type"]}
    if settings.accelerator_type:
        machine["acceleratorType"] = settings.accelerator_type
        machine["acceleratorCount"] = settings.accelerator_count or 1
    return machine


def _disk(settings: VertexSettings) -> Json:
    disk = {
        **_given("bootDiskType", settings.disk_type),
        **_given("bootDiskSizeGb", settings.disk_gb),
    }
    return _given("diskSpec", disk)


def _scheduling(study: Study, settings: VertexSettings) -> Json:
    scheduling: Json = {}
    if study.limits.trial_timeout:
        scheduling["timeout"] = duration(study.limits.trial_timeout)
    scheduling |= _given("restartJobOnWorkerRestart", settings.restart)
    if settings.spot:
        scheduling["strategy"] = "SPOT"
    elif settings.flex_start:
        scheduling["strategy"] = "FLEX_START"
        if settings.max_wait is not None:
            scheduling["maxWaitDuration"] = duration(settings.max_wait)
    return scheduling


def _encryption(settings: VertexSettings) -> Json:
    return {"encryptionSpec": {"kmsKeyName": settings.kms_key}} if settings.kms_key else {}


def _given(key: str, value: Any) -> Json:
    return {key: value} if value else {}
