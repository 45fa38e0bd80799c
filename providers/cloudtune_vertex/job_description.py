"""Finds a tuning job that was started elsewhere, and describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.provider import JobDescription, JobRef, Json, Plan, UsageError
from cloudtune_vertex import response
from cloudtune_vertex.client import Google
from cloudtune_vertex.errors import PROVIDER, GoogleError
from cloudtune_vertex.request.layout import RUN_LABEL

_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/([A-Za-z]+)/([^/]+)")
_TUNING = "hyperparameterTuningJobs"
_OUTPUT = re.compile(r"gs://([^/]+)/?(.*?)/?([^/]+)/output/?")
"""Where the runs of cloudtune write: BUCKET, PREFIX, JOB; see `request.layout`."""


def job_settings(job: str) -> Json:
    """Return the project and the location of a full resource name."""
    match = _NAME.fullmatch(job)
    return {"project": match[1], "location": match[2]} if match else {}


def describe_job(google: Google, job: str, plan: Plan) -> JobDescription:
    """Return the tuning job with an id or a full resource name.

    Args:
        google: The client.
        job: The id or the name.
        plan: Has the project and the location of an id.

    Raises:
        UsageError: If it is neither, or the name of another kind of job.
        GoogleError: If there is no such job, or Google refuses or cannot be reached.
    """
    name = _full_name(job, plan.facts.data)
    try:
        described = google.get(name)
    except GoogleError as error:
        if not error.not_found:
            raise
        project, location = name.split("/")[1:4:2]
        raise GoogleError(
            f"no tuning job {job} in {location} of the project {project}; check the id, "
            f"providers.{PROVIDER}.project and location",
            code=error.code,
        ) from error
    labels: Mapping[str, str] = described.get("labels", {})
    run = labels.get(RUN_LABEL)
    return JobDescription(
        ref=JobRef(PROVIDER, described["name"]),
        address=f"//aiplatform.googleapis.com/{described['name']}",
        document=described,
        job_name=str(described.get("displayName") or job),
        run=run,
        created=response.to_seconds(described.get("createTime")),
        data=_measurements(described) if run else {"has_measurements": False},
    )


def _full_name(job: str, data: Mapping[str, Any]) -> str:
    match = _NAME.fullmatch(job)
    if match and match[3] != _TUNING:
        raise UsageError(
            f"{job} is one of {match[3]}; only {_TUNING} can be attached, the tuning jobs"
        )
    if match:
        return job
    if not job.isdigit():
        raise UsageError(
            f"{job!r} is no tuning job: give its number, or its full name "
            f"projects/PROJECT/locations/LOCATION/{_TUNING}/NUMBER"
        )
    return f"projects/{data['project']}/locations/{data['location']}/{_TUNING}/{job}"


def _measurements(described: Json) -> Json:
    """Return where the launchers of the run that sent the job save their measurements."""
    spec: Json = described.get("trialJobSpec", {})
    uri = str(spec.get("baseOutputDirectory", {}).get("outputUriPrefix", ""))
    match = _OUTPUT.fullmatch(uri)
    if not match or match[3] != described.get("displayName"):
        return {"has_measurements": False}
    return {"bucket": match[1], "prefix": match[2]}
