"""Finds a sweep or a command job that was started elsewhere, and describes it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from cloudtune.provider import JobDescription, JobRef, Json, Plan, UsageError
from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import AzureError
from cloudtune_azure.settings import NAME

_ID = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices"
    r"/workspaces/([^/]+)/jobs/([^/]+)",
    re.IGNORECASE,
)
_RUN_TAG = "cloudtune_"


def job_settings(job: str) -> Json:
    """Return the subscription, the resource group and the workspace in the full id of a job."""
    match = _ID.fullmatch(job)
    if match is None:
        return {}
    return dict(zip(("subscription", "resource_group", "workspace"), match.groups(), strict=False))


def describe_job(client: AzureClient, job: str, _plan: Plan) -> JobDescription:
    """Return the sweep or the command job with a name or a full id.

    A command job has no search space: its study has to be given.

    Raises:
        UsageError: If it is another kind of job.
        AzureError: If there is no such job, or Azure refuses or cannot be reached.
    """
    match = _ID.fullmatch(job)
    name = match[4] if match else job
    found = client.get_job(name)
    if found is None:
        raise AzureError(f"the workspace has no job {name}: check its name", code=404)
    properties: Json = found["properties"]
    kind: str = properties["jobType"]
    if kind not in {"Sweep", "Command"}:
        raise UsageError(
            f"{name} is a job of the type {kind}; only sweeps and command jobs can be attached"
        )
    tags: Json = properties.get("tags") or {}
    runs = [key.removeprefix(_RUN_TAG) for key in tags if key.startswith(_RUN_TAG)]
    return JobDescription(
        ref=JobRef(NAME, name),
        address=f"{client.workspace}/jobs/{name}",
        document=found if kind == "Sweep" else None,
        job_name=name,
        run=runs[0] if runs else None,
        created=created(found),
    )


def created(job: Json) -> float | None:
    """Return when a job was created; the time has seven decimals."""
    data: Json = job.get("systemData") or {}
    return to_seconds(data.get("createdAt"))


def to_seconds(text: Any) -> float | None:
    """Return a time of Azure in epoch seconds; None if it is none."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text))).timestamp()
    except ValueError:
        return None
