"""Addresses in the Google Cloud console, and the logs of custom jobs."""

from __future__ import annotations

from cloudtune.provider import JobContext, Plan


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
