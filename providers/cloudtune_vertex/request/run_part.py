"""The jobs of a run: the part of the study, with names, the launcher, and what nobody set."""

from __future__ import annotations

from typing import Any

from cloudtune.formats import Native, compact
from cloudtune.provider import Facts, Input, Json, Study, merge_json
from cloudtune.provider.lookup import uses_launcher
from cloudtune_vertex.request.layout import (
    JOB,
    JOB_LABEL,
    MODULE,
    MOUNT,
    RUN_LABEL,
    bootstrap_command,
    code_uri,
    output_uri,
    trial_output_uri,
)
from cloudtune_vertex.request.study_part import encryption, job_spec, max_trials, study_part
from cloudtune_vertex.settings import NAME, VertexSettings

AFTER_STEP_VARIABLE = "CLOUDTUNE_AFTER_STEP"
"""The variable with the last step before a later start of a driven trial, for its launcher."""
JOB_VARIABLE = "CLOUDTUNE_JOB"
"""The variable with the name of a trial's start, for the launcher of a driven trial."""


def tuning_job(study: Study, settings: VertexSettings, facts: Facts) -> Json:
    """Return the HyperparameterTuningJob of a fitted study."""
    job = study_part(_resolve_study(study, facts), _resolve_settings(settings, facts), Native({}))
    job["trialJobSpec"] = _launched(study, facts, job["trialJobSpec"], output_uri(facts))
    run = {"displayName": facts.job_name, "labels": {RUN_LABEL: facts.run_id}}
    merged: Json = merge_json(job, run)
    return merged


def custom_job(study: Study, settings: VertexSettings, facts: Facts) -> Json:
    """Return the CustomJob of one trial of a fitted study."""
    resolved = _resolve_study(study, facts)
    spec = job_spec(resolved, _resolve_settings(settings, facts))
    spec = _launched(study, facts, spec, trial_output_uri(facts), {JOB_VARIABLE: JOB})
    return {
        "displayName": JOB,
        "jobSpec": {**spec, **compact(persistentResourceId=settings.persistent_resource)},
        "labels": {**settings.labels, RUN_LABEL: facts.run_id, JOB_LABEL: JOB},
        **encryption(settings),
    }


def _resolve_settings(settings: VertexSettings, facts: Facts) -> VertexSettings:
    """Return the settings with the values that were looked up."""
    return settings.model_copy(
        update={name: facts.data[name] for name in ("image", "machine_type")}
    )


def _resolve_study(study: Study, facts: Facts) -> Study:
    """Return what Vertex AI has to start: the launcher, or the user's code with its inputs."""
    trials, tolerated = max_trials(study), study.limits.max_failed_trials
    if tolerated is None and trials is not None:
        tolerated = trials - 1
    limits = {
        "parallel_trials": study.limits.parallel_trials or 1,
        "max_failed_trials": tolerated,
    }
    update: dict[str, Any] = {"limits": study.limits.model_copy(update=limits)}
    if uri := code_uri(facts, study):
        package = {"module": MODULE, "source": {NAME: uri}} if facts.data["prebuilt"] else {}
        code: dict[str, Any] = {"args": [], "inputs": {}, "module": None, "source": None, **package}
        update |= {"constants": {}, "trial": study.trial.model_copy(update=code)}
    else:
        paths = {name: path.removeprefix(f"{MOUNT}/") for name, path in facts.data["paths"].items()}
        inputs = {name: {"*": Input(uri=f"gs://{path}")} for name, path in paths.items()}
        update["trial"] = study.trial.model_copy(update={"inputs": inputs})
    if len(study.objectives) > 1 and uses_launcher(study, facts):
        # Google does not document which of several objectives' measurements is the best. So the
        # last one counts, in which the launcher reports the value that counts of each objective.
        update["objective"] = [
            each.model_copy(update={"select": "last"}) for each in study.objectives
        ]
    return study.model_copy(update=update)


def _launched(
    study: Study, facts: Facts, spec: Json, output: str, variables: dict[str, str] | None = None
) -> Json:
    """Return the CustomJobSpec of a trial with the launcher's command and variables."""
    task: Json = {}
    if variables:
        task["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    uri = code_uri(facts, study)
    if uri and not facts.data["prebuilt"]:
        task["command"] = bootstrap_command(uri)
    (pool,) = spec["workerPoolSpecs"]
    kind = "pythonPackageSpec" if "pythonPackageSpec" in pool else "containerSpec"
    added = {
        "workerPoolSpecs": [{kind: task}],
        "baseOutputDirectory": {"outputUriPrefix": output},
    }
    merged: Json = merge_json(spec, added)
    return merged
