"""Sweeps as the REST API describes them, and their children in run history, as recorded."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_azure.emulator import views
from cloudtune_azure.emulator.search_space import is_finite
from cloudtune_azure.emulator.state import COMPLETED, Job, Sweep
from cloudtune_azure.emulator.times import duration_seconds, iso

_DEFAULTS: Json = {
    **views.DEFAULTS,
    **dict.fromkeys(("earlyTermination", "componentConfiguration")),
}
_LIMITS = ("timeout", "maxTotalTrials", "maxConcurrentTrials", "trialTimeout")
_TRIAL: Json = {"codeId": None, "environmentVariables": {}, "distribution": None}


def sweep(sweep_: Sweep, url: str, version: str) -> Json:
    """Return a sweep as an answer has it in a version of the API."""
    request = sweep_.request
    objective: Json = request["objective"]
    algorithm: Json = request["samplingAlgorithm"]
    trial: Json = request["trial"]
    resources: Json = trial.get("resources") or {}
    own: Json = {
        "tags": {**(request.get("tags") or {}), **_tags(sweep_, url, version)},
        "properties": _properties(sweep_),
        "services": {"Studio": views.service("Studio", views.studio(sweep_))},
        "limits": {**dict.fromkeys(_LIMITS), **(request.get("limits") or {})},
        "objective": {**objective, "goal": str(objective["goal"]).capitalize()},
        "samplingAlgorithm": {**_algorithm(algorithm), **algorithm},
        "trial": {**_TRIAL, **trial, "resources": {**views.RESOURCES, **resources}},
    }
    return views.describe(sweep_, _DEFAULTS, own, version)


def children(sweep_: Sweep) -> Json:
    """Return the children of a sweep in run history."""
    return {"value": [child(each) for each in sweep_.trials]}


def child(job: Job) -> Json:
    """Return a child; a recorded one of a pipeline has more (children_dsl_get_child_job)."""
    parent = job.sweep.name if job.sweep else None
    return {
        **views.details(job, ""),
        "parentRunId": parent,
        "rootRunId": parent or job.name,
        "createdUtc": iso(job.created),
        "displayName": job.name,
        "cancelationReason": None,
        "currentAttemptId": 1,
    }


def _algorithm(algorithm: Json) -> Json:
    if str(algorithm["samplingAlgorithmType"]).lower() != "random":
        return {}
    return {"seed": None, "logbase": None, "rule": "Random"}


def _properties(sweep_: Sweep) -> Json:
    found: Json = {
        **(sweep_.request.get("properties") or {}),
        "primary_metric_config": _metric_config(sweep_),
        "resume_from": "null",
        "runTemplate": "HyperDrive",
        "azureml.runsource": "hyperdrive",
        "platform": "AML",
        "ContentSnapshotId": views.SNAPSHOT if sweep_.request["trial"].get("codeId") else "",
        "user_agent": "managementfrontend/emulated",
    }
    if sweep_.trials:
        space: Json = sweep_.request["searchSpace"]
        count = 1
        for expression in space.values() if is_finite(space) else ():
            count *= len(expression[1][0])
        found["space_size"] = str(count) if is_finite(space) else "infinite_space_size"
    return found | _best(sweep_)


def _best(sweep_: Sweep) -> Json:
    """Return the best trial of a completed sweep whose scripts have logged the metric by MLflow.

    The words are those of a run that a user showed in 2024. Chosen: the best value of a trial
    counts.
    """
    choose = max if str(sweep_.request["objective"]["goal"]).lower() == "maximize" else min
    values = {
        job.name: [each["value"] for each in job.metrics if each["key"] == sweep_.metric]
        for job in sweep_.trials
    }
    scores = {name: choose(each) for name, each in values.items() if each}
    if sweep_.state != COMPLETED or not scores:
        return {}
    best = choose(scores, key=lambda name: scores[name])
    return {
        "best_child_run_id": best,
        "score": str(scores[best]),
        "best_metric_status": "Succeeded",
        "best_data_container_id": f"dcid.{best}",
    }


def _tags(sweep_: Sweep, url: str, version: str) -> Json:
    request = sweep_.request
    limits: Json = request.get("limits") or {}
    minutes = (duration_seconds(limits.get("timeout")) or 0) / 60
    algorithm: Json = request["samplingAlgorithm"]
    settings = {**_algorithm(algorithm), **algorithm}
    order = ("rule", "logbase", "seed") if version >= "2022-12" else ("rule", "seed")
    generator = {
        "name": str(algorithm["samplingAlgorithmType"]).upper(),
        "parameter_space": request["searchSpace"],
        "properties": {key: settings[key] for key in order if key in settings},
    }
    found: Json = {
        "_aml_system_max_concurrent_jobs": _text(limits.get("maxConcurrentTrials")),
        "_aml_system_max_total_jobs": _text(limits.get("maxTotalTrials")),
        "_aml_system_max_duration_minutes": f"{minutes:g}" if minutes else "null",
        "_aml_system_policy_config": _text(_policy(request.get("earlyTermination"))),
        "_aml_system_generator_config": _text(generator),
        "_aml_system_primary_metric_config": _metric_config(sweep_),
        "_aml_system_platform_config": _text(_platform(sweep_, url)),
        "_aml_system_resume_child_runs": "null",
        "_aml_system_all_jobs_generated": _text(sweep_.all_generated),
        "_aml_system_cancellation_requested": _text(sweep_.cancellation_requested),
    }
    if sweep_.trials:
        at = _text(iso(sweep_.created)[:26])
        found |= {
            "_aml_system_progress_metadata_evaluation_timestamp": at,
            "_aml_system_progress_metadata_digest": _text("0" * 64),
            "_aml_system_progress_metadata_active_timestamp": at,
            "_aml_system_optimizer_state_artifact": "null",
            "_aml_system_outdated_optimizer_state_artifacts": '"[]"',
        }
    for each in sweep_.trials:
        found[f"_aml_system_{each.name}"] = json.dumps(each.values, sort_keys=True)
    if sweep_.state == COMPLETED:
        found["_aml_system_final_best_metric_update_retry_count"] = "1"
    return found


def _policy(policy: Json | None) -> Json:
    if policy is None:
        return {"name": "Default", "properties": {}}
    properties = {
        views.snake(key): value
        for key, value in policy.items()
        if key != "policyType" and value is not None
    }
    if policy["policyType"] == "TruncationSelection":
        properties.setdefault("exclude_finished_jobs", False)
    return {"name": policy["policyType"], "properties": properties}


def _platform(sweep_: Sweep, url: str) -> Json:
    """Return what the text of a recorded tag begins with."""
    request = sweep_.request
    parts = sweep_.workspace.split("/")
    overrides = {"Script": None, "Command": request["trial"].get("command")}
    return {
        "ServiceAddress": url,
        "SubscriptionId": parts[2],
        "ResourceGroupName": parts[4],
        "WorkspaceName": parts[-1],
        "ExperimentName": request.get("experimentName") or "Default",
        "Definition": {"Configuration": None, "Overrides": overrides},
    }


def _metric_config(sweep_: Sweep) -> str:
    goal = str(sweep_.request["objective"]["goal"]).lower()
    return _text({"name": sweep_.metric, "goal": goal})


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
