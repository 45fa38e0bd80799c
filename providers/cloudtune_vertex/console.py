"""Addresses in the Google Cloud console, and the logs of custom jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudtune.provider import JobContext, Json, Plan
from cloudtune_vertex.errors import GoogleError

if TYPE_CHECKING:
    from cloudtune_vertex.client import Google

LOG_PAGE_SIZE = 1000
"""Maximum entries of one page of a log."""


def list_url(project: str, jobs: str) -> str:
    """Return the page that lists ``hyperparameter-tuning-jobs`` or ``custom-jobs``."""
    return f"https://console.cloud.google.com/vertex-ai/training/{jobs}?project={project}"


def job_url(project: str, location: str, number: str) -> str:
    """Return the page of a tuning job or a custom job.

    It is the one that ``_dashboard_uri`` of google-cloud-aiplatform 2.7.0 (aiplatform/jobs.py)
    prints.
    """
    console = "https://console.cloud.google.com/agent-platform/locations"
    return f"{console}/{location}/training/{number}?project={project}"


def log_url(plan: Plan, context: JobContext, job: str) -> str | None:
    """Return the page of a custom job's log; on the emulator its file, if it exists.

    The job is given by its full name.
    """
    number = job.rpartition("/")[2]
    if context.emulator is None:
        return job_url(plan.facts.data["project"], plan.facts.data["location"], number)
    file = context.emulator_folder / "jobs" / number / "log.txt"
    return str(file) if file.is_file() else None


def read_log(google: Google, page: str) -> Iterator[str]:
    """Yield the lines of a custom job's log in Cloud Logging, oldest first.

    Logs of custom jobs have the resource ``ml_job`` with the number of the job, as
    ``gcloud logging read`` selects them; not verified against the live service.

    Args:
        google: The client.
        page: The job's page in the console, as `log_url` returns it.

    Raises:
        GoogleError: If the log does not exist, the caller may not read it, or the call fails.
    """
    number = urlsplit(page).path.rpartition("/")[2]
    lines = 0
    filter_ = f'resource.type="ml_job" AND resource.labels.job_id="{number}"'
    for entry in _log_entries(google, filter_):
        payload = entry.get("jsonPayload", {})
        text = entry.get("textPayload") or payload.get("message") or ""
        for line in str(text).splitlines():
            lines += 1
            yield line
    if not lines:
        raise GoogleError(f"Cloud Logging has no log of the job {number} yet", code=404)


def _log_entries(google: Google, filter_: str) -> Iterator[Json]:
    """Yield the entries of Cloud Logging that match a filter, oldest first.

    The call is entries.list (https://cloud.google.com/logging/docs/reference/v2/rest/v2/
    entries/list, read 2026-11-27).
    """
    request: Json = {
        "resourceNames": [f"projects/{google.project}"],
        "filter": filter_,
        "orderBy": "timestamp asc",
        "pageSize": LOG_PAGE_SIZE,
    }
    while True:
        page = google.rest("POST", "logging", "/v2/entries:list", json=request)
        yield from page.get("entries", ())
        if not (token := page.get("nextPageToken")):
            return
        request = {**request, "pageToken": token}
