"""The log of a deployment job that has not ended; later, the log is a file on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune_watson.documents import name_of, read_text
from cloudtune_watson.jobs.client import RuntimeClient


def read_job_log(runtime: RuntimeClient, deployment: str, name: str | None) -> Iterator[str] | None:
    """Return the lines of a job's log at IBM, or None if there is none.

    That IBM's log has what a script prints is not established.

    Args:
        runtime: The service.
        deployment: The name of the run's deployment.
        name: The name of the job, if it is known.

    Raises:
        WatsonError: If IBM cannot be called, or refuses.
    """
    for each in runtime.list_deployments(deployment):
        for job in runtime.list_jobs(read_text(each, "metadata", "id")):
            if name and name_of(job) == name:
                lines = runtime.job_log(job)
                return None if lines is None else iter(lines)
    return None
