"""Lists of jobs: filtered, sorted and divided into pages as at the service."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator import warm_pools
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.state import TrainingJob, TuningJob

Item = TypeVar("Item")
Job = TypeVar("Job", TrainingJob, TuningJob)

PAGE_SIZE = 10
"""The default of MaxResults (botocore 1.44.8 model)."""

_TIMES: tuple[tuple[str, str], ...] = (
    ("CreationTime", "created"),
    ("LastModifiedTime", "updated"),
)
_SORT: Mapping[str, Callable[[Any], Any]] = {
    "Name": lambda job: job.name.lower(),
    "CreationTime": lambda job: job.created,
    "Status": lambda job: job.state,
    "FinalObjectiveMetricValue": lambda job: job.objective,
}


def page(items: Sequence[Item], request: Json) -> tuple[list[Item], str | None]:
    """Return the items of the requested page, and the token of the next page.

    Raises:
        ServiceError: If the token is invalid.
    """
    size: int = request.get("MaxResults", PAGE_SIZE)
    start = 0
    if token := request.get("NextToken"):
        try:
            start = int(base64.urlsafe_b64decode(token))
        except ValueError:
            raise invalid("Invalid NextToken") from None
    end = start + size
    next_token = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return list(items[start:end]), next_token


def matching(jobs: Iterable[Job], request: Json) -> list[Job]:
    """Return the jobs that match a request's filters, in its order."""
    matches = [job for job in jobs if _matches(job, request)]
    by = request.get("SortBy", "Name")
    if by == "FinalObjectiveMetricValue":
        # Jobs without an objective are omitted (API reference,
        # ListTrainingJobsForHyperParameterTuningJob).
        matches = [j for j in matches if isinstance(j, TrainingJob) and j.objective is not None]
    descending = request.get("SortOrder", "Ascending") == "Descending"
    return sorted(matches, key=_SORT[by], reverse=descending)


def _matches(job: TrainingJob | TuningJob, request: Json) -> bool:
    if request.get("StatusEquals", job.state) != job.state:
        return False
    if wanted := request.get("WarmPoolStatusEquals"):
        pool = warm_pools.status(job) if isinstance(job, TrainingJob) else {}
        if pool.get("WarmPoolStatus", {}).get("Status") != wanted:
            return False
    if request.get("NameContains", "").lower() not in job.name.lower():
        return False
    for name, attribute in _TIMES:
        when: float = getattr(job, attribute)
        if when < request.get(f"{name}After", when) or when > request.get(f"{name}Before", when):
            return False
    return True
