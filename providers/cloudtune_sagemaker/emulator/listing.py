"""Lists of jobs: filtered, sorted and cut into pages as the service does it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from cloudtune.study.schema import Json
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.state import TrainingJob, TuningJob

Item = TypeVar("Item")
Job = TypeVar("Job", TrainingJob, TuningJob)

PAGE = 10
"""Items of a page when nothing is said (botocore 1.44.8 model: MaxResults defaults to 10)."""

_TIMES: tuple[tuple[str, str], ...] = (
    ("CreationTime", "created"),
    ("LastModifiedTime", "modified"),
)
_SORT: Mapping[str, Callable[[Any], Any]] = {
    "Name": lambda job: job.name.lower(),
    "CreationTime": lambda job: job.created,
    "Status": lambda job: job.status,
    "FinalObjectiveMetricValue": lambda job: job.objective,
}


def page(items: Sequence[Item], request: Json) -> tuple[list[Item], str | None]:
    """Return the items of the page that is asked for, and the token of the next one.

    Raises:
        ServiceError: If the token is none of ours.
    """
    size: int = request.get("MaxResults", PAGE)
    begin = 0
    if token := request.get("NextToken"):
        try:
            begin = int(base64.urlsafe_b64decode(token))
        except ValueError:
            raise invalid("Invalid NextToken") from None
    end = begin + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return list(items[begin:end]), following


def matching(jobs: Iterable[Job], request: Json) -> list[Job]:
    """Return the jobs that a request's filters leave, in the order that it wants."""
    found = [job for job in jobs if _kept(job, request)]
    by = request.get("SortBy", "Name")
    if by == "FinalObjectiveMetricValue":
        # Those without an objective are left out, without a word (API reference,
        # ListTrainingJobsForHyperParameterTuningJob).
        found = [job for job in found if isinstance(job, TrainingJob) and job.objective is not None]
    descends = request.get("SortOrder", "Ascending") == "Descending"
    return sorted(found, key=_SORT[by], reverse=descends)


def _kept(job: TrainingJob | TuningJob, request: Json) -> bool:
    if request.get("StatusEquals", job.status) != job.status:
        return False
    if request.get("NameContains", "").lower() not in job.name.lower():
        return False
    for word, attribute in _TIMES:
        when: float = getattr(job, attribute)
        if when < request.get(f"{word}After", when) or when > request.get(f"{word}Before", when):
            return False
    return True
