"""The part of a tuning job that a study and its settings determine.

An export is this part, with what is kept of an imported job. A run adds what
`cloudtune_vertex.request.run_part` has.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.formats import (
    Native,
    compact,
    count_combinations,
    inverse,
    is_remote,
    parameter_specs,
    source_address,
    storage_address,
)
from cloudtune.launcher.call import command_line, input_variable
from cloudtune.provider import FromEnvironment, Json, Study
from cloudtune_vertex.native.names import GOALS, SELECTIONS, WORDS
from cloudtune_vertex.request.layout import escape, mounted_path
from cloudtune_vertex.settings import NAME, VertexSettings

_SELECTIONS = {select: word for word, select in SELECTIONS.items()}
"""By what counts, the word, rather than the one for nothing."""


def study_part(study: Study, settings: VertexSettings, native: Native) -> Json:
    """Return the tuning job, with what is kept of the parameters of an imported one."""
    trials, tolerated = max_trials(study), study.limits.max_failed_trials
    return {
        **compact(displayName=study.name),
        "studySpec": _study_spec(study, native),
        **compact(
            maxTrialCount=trials,
            parallelTrialCount=study.limits.parallel_trials,
            # Never 0, with which the service ends a job when its first trial fails.
            maxFailedTrialCount=None if tolerated is None else min(tolerated + 1, trials or 2**31),
            trialJobSpec=job_spec(study, settings),
            labels=settings.labels,
            **encryption(settings),
        ),
    }


def max_trials(study: Study) -> int | None:
    """Return the number of trials of a fitted study, which Vertex AI requires.

    A grid has at most one trial for each combination. None if the study sets no number.
    """
    size = count_combinations(study) if study.strategy.name == "grid" else None
    numbers = [number for number in (study.limits.max_trials, size) if number is not None]
    return min(numbers, default=None)


def job_spec(study: Study, settings: VertexSettings) -> Json:
    """Return the CustomJobSpec of a trial."""
    accelerator = settings.accelerator_type
    pool = compact(
        machineSpec=compact(
            machineType=settings.machine_type,
            acceleratorType=accelerator,
            acceleratorCount=(settings.accelerator_count or 1) if accelerator else None,
        ),
        diskSpec=compact(bootDiskType=settings.disk_type, bootDiskSizeGb=settings.disk_gb),
        **_task(study, settings),
    )
    return compact(
        workerPoolSpecs=[{**pool, "replicaCount": "1"}] if pool else [],
        scheduling=_scheduling(study, settings),
        serviceAccount=settings.service_account,
        network=settings.network,
        baseOutputDirectory=compact(
            outputUriPrefix=storage_address("gs", settings.bucket, settings.prefix)
        ),
        enableWebAccess=settings.web_access or None,
    )


def fixed_args(study: Study, paths: Mapping[str, str]) -> list[str]:
    """Return the fixed arguments, with constants, of code that runs without the launcher."""
    call = {
        "args": study.trial.args,
        "arguments": "equals",
        "parameters": study.argument_names,
    }
    return command_line(call, study.constants, paths, "")


def encryption(settings: VertexSettings) -> Json:
    """Return the field of a job with its key, if it has one."""
    return compact(encryptionSpec=compact(kmsKeyName=settings.kms_key))


def to_duration(seconds: float) -> str:
    """Return a duration in the JSON of protobuf."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _study_spec(study: Study, native: Native) -> Json:
    objectives, limits = study.objectives, study.limits
    select = next((each.select for each in objectives), "last")
    stopping: Json = {}
    if limits.timeout:
        stopping["maximumRuntimeConstraint"] = {"maxDuration": to_duration(limits.timeout)}
    if limits.patience and len(objectives) == 1:
        stopping["maxNumTrialsNoProgress"] = limits.patience
    return {
        "metrics": [
            {"metricId": each.metric, "goal": inverse(GOALS, each.goal)} for each in objectives
        ],
        "parameters": parameter_specs(study, native.block),
        "algorithm": WORDS.strategy(study.strategy) or study.strategy.name,
        "measurementSelectionType": _SELECTIONS[select],
        **compact(
            medianAutomatedStoppingSpec=study.early_stopping and {"useElapsedDuration": False},
            studyStoppingConfig=stopping and {"shouldStopAsap": True, **stopping},
        ),
    }


def _task(study: Study, settings: VertexSettings) -> Json:
    """Return what the container runs: a package, or the image."""
    inputs = {
        name: mounted_path(address.uri)
        for name, addresses in study.trial.inputs.items()
        if (address := addresses.get(NAME) or addresses.get("*"))
    }
    variables = {input_variable(name): path for name, path in inputs.items()}
    values = {
        name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else escape(value)
        for name, value in study.trial.env.items()
    }
    call = compact(
        args=fixed_args(study, inputs),
        env=[{"name": name, "value": value} for name, value in {**values, **variables}.items()],
    )
    code, module = source_address(study, NAME), study.trial.module
    if module and is_remote(code):
        package = compact(executorImageUri=settings.image, packageUris=[code])
        return {"pythonPackageSpec": {**package, "pythonModule": module, **call}}
    return compact(containerSpec=compact(imageUri=settings.image, **call))


def _scheduling(study: Study, settings: VertexSettings) -> Json:
    timeout, wait = study.limits.trial_timeout, settings.max_wait
    return compact(
        timeout=to_duration(timeout) if timeout else None,
        restartJobOnWorkerRestart=settings.restart or None,
        strategy="SPOT" if settings.spot else "FLEX_START" if settings.flex_start else None,
        maxWaitDuration=to_duration(wait) if wait and settings.flex_start else None,
    )
