"""Finds a search of WML Accelerator that was started elsewhere, and describes it."""

from __future__ import annotations

from cloudtune.provider import JobDescription, JobRef, UsageError
from cloudtune_watson.errors import PROVIDER, WatsonError
from cloudtune_watson.response import to_seconds
from cloudtune_watson.wmla.client import WmlaClient


def describe_job(wmla: WmlaClient, job: str) -> JobDescription:
    """Return the search with a name.

    Raises:
        UsageError: If the answer is no search.
        WatsonError: If there is no such search, or WML Accelerator refuses or cannot be reached.
    """
    url = wmla.http.connection.url
    try:
        search = wmla.get(job)
    except WatsonError as error:
        if not error.not_found:
            raise
        message = f"no search named {job} at {url}; check the name and providers.{PROVIDER}.url"
        raise WatsonError(message, code=error.code) from error
    if not isinstance(search.get("experiments"), list):
        raise UsageError(f"{url} returns no hyperparameter search for {job}")
    name = str(search.get("hpoName") or job)
    return JobDescription(
        ref=JobRef(PROVIDER, name),
        address=f"{url}/hypersearch/{name}",
        # A standalone WML Accelerator returns the trials without the search space.
        document=search if "algoDef" in search and "hyperParams" in search else None,
        job_name=name,
        created=to_seconds(search.get("createtime")),
    )
