"""Checks that an answer of Google can be read; its types leave out what is empty or unknown."""

from __future__ import annotations

import re
from typing import Any

from cloudtune.provider import Json
from cloudtune.provider.answers import Fields, problem
from cloudtune_vertex.errors import GoogleError, response_message, service_error

NEEDED: Fields = {
    "name": str,
    "trials[]?.id": str,
    "trials[]?.parameters[]?.parameterId": str,
    "trials[]?.finalMeasurement?.metrics[]?.metricId": str,
}
"""The fields of a job that its readers need; see `cloudtune.provider.answers`."""
_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/(?:hyperparameterTuningJobs|customJobs)/[^/]+")


def checked_job(kind: str, job: Json) -> Json:
    """Return a job that has the fields that its readers need.

    Raises:
        GoogleError: If it lacks one.
    """
    if wrong := problem(job, NEEDED):
        raise GoogleError(f"{kind}: {wrong}")
    return job


def checked_name(operation: str, name: str) -> str:
    """Return the name of a job, which may come from an answer.

    Raises:
        GoogleError: If it is none, which Google's client does not send.
    """
    if not _NAME.fullmatch(name):
        raise GoogleError(f"{operation}: {name!r} is no name of a job")
    return name


def read_json(operation: str, response: Any) -> Json:
    """Return the object in a response of a REST API.

    Raises:
        GoogleError: If it has none, or Google refuses.
    """
    if response.status_code >= 400:
        raise service_error(operation, response.status_code, response_message(response))
    try:
        answer: Any = response.json()
    except ValueError as error:
        raise GoogleError(f"{operation}: the response is not JSON") from error
    if wrong := problem(answer, {}):
        raise GoogleError(f"{operation}: {wrong}")
    found: Json = answer
    return found
