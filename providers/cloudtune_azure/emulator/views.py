"""Jobs as the REST API and run history describe them; keys and nulls as recorded."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from cloudtune.emulator_kit import Json
from cloudtune_azure.emulator.blobs import ARTIFACTS, artifacts_folder
from cloudtune_azure.emulator.state import STARTING, Job, Sweep
from cloudtune_azure.emulator.times import iso, plain
from cloudtune_azure.emulator.versions import drop_unknown

SNAPSHOT = "00000000-0000-4000-8000-000000000001"
_TYPE = "Microsoft.MachineLearningServices/workspaces"
DEFAULTS: Json = {
    **dict.fromkeys(("description", "displayName", "status", "computeId", "identity")),
    **dict.fromkeys(("componentId", "notificationSetting", "secretsConfiguration", "limits")),
    **{name: dict[str, Any]() for name in ("tags", "properties", "services", "inputs", "outputs")},
    "experimentName": "Default",
    "isArchived": False,
    "queueSettings": None,
}
"""What each job has."""
_DEFAULTS: Json = {
    **DEFAULTS,
    **dict.fromkeys(("resources", "codeId", "distribution", "autologgerSettings")),
    "jobType": "Command",
    "command": "",
    "environmentId": "",
    "environmentVariables": {},
    "parameters": {},
}
RESOURCES: Json = {
    "instanceCount": 1,
    "maxInstanceCount": None,
    "instanceType": None,
    "locations": None,
    "properties": None,
    "dockerArgs": None,
    "dockerArgsList": None,
}
_COMMAND_LIMITS: Json = {"timeout": None, "jobLimitsType": "Command"}
_QUEUE: Json = {"jobTier": "Standard", "priority": None}


def resource(
    path: str, kind: str, properties: Json, created: float, *, is_asset: bool = True
) -> Json:
    """Return a resource.

    Args:
        path: Its id.
        kind: The kind, such as ``jobs``.
        properties: What belongs to its kind.
        created: When it was created.
        is_asset: Whether it has a time of its last change.
    """
    changed = {
        "lastModifiedAt": iso(created),
        "lastModifiedBy": "emulated",
        "lastModifiedByType": "User",
    }
    return {
        "id": path,
        "name": path.rpartition("/")[2],
        "type": f"{_TYPE}/{kind}",
        "properties": properties,
        "systemData": {
            "createdAt": iso(created),
            "createdBy": "emulated",
            "createdByType": "User",
            **(changed if is_asset else {}),
        },
    }


def job(job_: Job, url: str, version: str) -> Json:
    """Return a job as an answer has it in a version of the API."""
    request = job_.request
    resources: Json = request.get("resources") or {}
    services = {"Tracking": service("Tracking", tracking(job_, url))}
    own: Json = {
        "tags": {**(request.get("tags") or {}), **_system_tags(job_), **job_.run_tags},
        "properties": _job_properties(job_),
        "services": services | {"Studio": service("Studio", studio(job_))},
        "environmentVariables": request.get("environmentVariables"),
        "resources": {**RESOURCES, "shmSize": "2g", **resources},
    }
    for name, defaults in (("limits", _COMMAND_LIMITS), ("queueSettings", _QUEUE)):
        if request.get(name) is not None:
            own[name] = {**defaults, **request[name]}
    return describe(job_, _DEFAULTS, own, version)


def describe(job_: Job | Sweep, defaults: Json, own: Json, version: str) -> Json:
    """Return a job in a version of the API.

    Args:
        job_: The job.
        defaults: What it has if its request has not.
        own: What it has whatever its request has.
        version: The version.
    """
    request = job_.request
    inputs: Json = request.get("inputs") or {}
    default = {"jobOutputType": "uri_folder", "uri": artifacts(job_.name)}
    outputs: Json = {**(request.get("outputs") or {}), "default": default}
    properties: Json = {
        **defaults,
        **request,
        **own,
        "displayName": request.get("displayName") or job_.name,
        "status": job_.state,
        "inputs": {name: _input(each) for name, each in inputs.items()},
        "outputs": {name: _output(each) for name, each in outputs.items()},
    }
    drop_unknown(properties, version)
    path = f"{job_.workspace}/jobs/{job_.name}"
    return resource(path, "jobs", properties, job_.created, is_asset=False)


def artifacts(name: str) -> str:
    """Return the address of the logs and default outputs of a job."""
    return f"azureml://datastores/{ARTIFACTS}/{artifacts_folder(name)}"


def tracking(job_: Job, url: str) -> str:
    """Return the tracking address of a job."""
    return f"azureml://{urlsplit(url).netloc}/mlflow/v1.0{job_.workspace}?"


def details(job_: Job | Sweep, log: str) -> Json:
    """Return the details of a job in run history.

    Args:
        job_: The job.
        log: The signed address of its log; empty if it has none.
    """
    error: Json | None = None
    if job_.error:
        code, message = job_.error
        error = {
            "error": {
                "code": code,
                "severity": None,
                "message": message,
                "details": [],
                "innerError": None,
            },
            "time": iso(job_.updated),
            "componentName": "Execution",
        }
    return {
        "runId": job_.name,
        "parentRunId": None,
        "target": _compute(job_),
        "status": job_.state,
        "dataContainerId": f"dcid.{job_.name}",
        "createdTimeUtc": iso(job_.created),
        "startTimeUtc": iso(job_.started) if job_.started else None,
        "endTimeUtc": iso(job_.ended) if job_.ended else None,
        "error": error,
        "warnings": None,
        "tags": {**(job_.request.get("tags") or {}), **getattr(job_, "run_tags", {})},
        "properties": _job_properties(job_) if isinstance(job_, Job) else {},
        "logFiles": {"user_logs/std_log.txt": log} if log else {},
    }


def _job_properties(job_: Job) -> Json:
    found: Json = {**(job_.request.get("properties") or {})}
    found["_azureml.ComputeTargetType"] = "amlctrain"
    if job_.request.get("codeId"):
        found["ContentSnapshotId"] = SNAPSHOT
    if job_.state != STARTING:
        found["ProcessInfoFile"] = "azureml-logs/process_info.json"
        found["ProcessStatusFile"] = "azureml-logs/process_status.json"
    if job_.started:
        found["StartTimeUtc"] = plain(job_.started)
    if job_.started and job_.ended:
        found["EndTimeUtc"] = plain(job_.ended)
    return found


def _system_tags(job_: Job) -> Json:
    if job_.state == STARTING:
        return {}
    nodes = {"PreparingNodeCount": 0, "RunningNodeCount": 0, "CurrentNodeCount": 0}
    status = json.dumps({"AllocationState": "steady", **nodes}, separators=(",", ":"))
    return {"_aml_system_ComputeTargetStatus": status}


def studio(job_: Job | Sweep) -> str:
    """Return the page of a job."""
    return f"https://ml.azure.com/runs/{job_.name}?wsid={job_.workspace}"


def service(kind: str, endpoint: str) -> Json:
    """Return a service of a job."""
    return {
        "jobServiceType": kind,
        "port": None,
        "endpoint": endpoint,
        "status": None,
        "errorMessage": None,
        "properties": None,
        "nodes": None,
    }


def snake(name: str) -> str:
    """Return a name in snake case."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)


def _input(given: Json) -> Json:
    if given.get("jobInputType") == "literal":
        return {"description": None, **given}
    return {"description": None, "mode": "ReadOnlyMount", **given}


def _output(given: Json) -> Json:
    names = (
        "description",
        "uri",
        "assetName",
        "assetVersion",
        "autoDeleteSetting",
        "pathOnCompute",
    )
    empty = dict.fromkeys(names)
    return {**empty, "mode": "ReadWriteMount", **given}


def _compute(job_: Job | Sweep) -> str:
    return str(job_.request.get("computeId") or "serverless").rpartition("/")[2]
