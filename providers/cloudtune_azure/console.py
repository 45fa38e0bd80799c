"""Pages of Azure Machine Learning Studio, and the logs of jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.provider import JobContext, Json
from cloudtune_azure.errors import AzureError
from cloudtune_azure.settings import workspace_id

if TYPE_CHECKING:
    from cloudtune_azure.client import AzureClient

_STUDIO = "https://ml.azure.com"
_LOG = re.compile(r"user_logs/std_log\D*0*(?:_ps)?\.txt|azureml-logs/70_driver_log(?:_0)?\.txt")
"""The output of a job, of the first process if it has several, also of an older cluster
(JobLogPattern of azure-ai-ml 1.20.0; no recording has one)."""


def jobs_url(data: Mapping[str, Any]) -> str:
    """Return the page that lists the jobs of a workspace."""
    return f"{_STUDIO}/experiments?wsid={workspace_id(data)}"


def run_url(data: Mapping[str, Any], run: str) -> str:
    """Return the page of a job."""
    return f"{_STUDIO}/runs/{run}?wsid={workspace_id(data)}"


def log_address(context: JobContext, job: Json) -> str | None:
    """Return the page of a job in Studio, or the emulator's file with its log."""
    if context.emulator is None:
        services: Json = job["properties"].get("services") or {}
        studio: Json = services.get("Studio") or {}
        return studio.get("endpoint")
    file = context.emulator_folder / "jobs" / job["name"] / "log.txt"
    return str(file) if file.is_file() else None


def run_address(context: JobContext, data: Mapping[str, Any], run: str) -> str | None:
    """Return the page of a trial of a sweep in Studio, or the emulator's file with its log."""
    if context.emulator is None:
        return run_url(data, run)
    file = context.emulator_folder / "jobs" / run / "log.txt"
    return str(file) if file.is_file() else None


def tracking_address(job: Json) -> str | None:
    """Return the address of MLflow in the description of a job."""
    services: Json = job["properties"].get("services") or {}
    tracking: Json = services.get("Tracking") or {}
    return tracking.get("endpoint")


def read_log(client: AzureClient, name: str) -> Iterator[str]:
    """Yield the lines of the log of a job.

    Raises:
        AzureError: If there is no such job or no log yet, or the call fails.
    """
    job = client.get_job(name)
    tracking = tracking_address(job) if job else None
    if tracking is None:
        raise AzureError(f"the workspace does not know the job {name}", code=404)
    files: Json = client.run_details(tracking, name).get("logFiles") or {}
    logs = sorted(filter(_LOG.fullmatch, files), reverse=True)
    if not logs:
        raise AzureError(f"the job {name} has no log yet", code=404)
    content = client.http.send("GET", files[logs[0]], scope="").content
    yield from content.decode("utf-8", "replace").splitlines()
