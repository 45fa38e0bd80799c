"""All jobs of the emulator by their names, and the lock under which they change."""

from __future__ import annotations

import secrets
import threading
import zlib
from typing import TypeVar

from cloudtune_vertex.emulator.errors import not_found
from cloudtune_vertex.emulator.state import CustomJob, Parent, TuningJob

TUNING = "hyperparameterTuningJobs"
CUSTOM = "customJobs"
AnyJob = TypeVar("AnyJob", CustomJob, TuningJob)


class Store:
    """Holds the jobs."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._jobs: dict[str, CustomJob | TuningJob] = {}

    def new_name(self, parent: Parent, kind: str) -> str:
        """Return a name that no job has; the service ends names in a number that it draws."""
        return f"{parent.name}/{kind}/{secrets.randbelow(9 * 10**18) + 10**18}"

    def add(self, job: CustomJob | TuningJob) -> None:
        """Keep a job."""
        self._jobs[job.name] = job

    def get(self, kind: type[AnyJob], name: str) -> AnyJob:
        """Return a job by its name, with the project's number or its id.

        Raises:
            ServiceError: If there is none.
        """
        found = self._jobs.get(_with_number(name))
        if not isinstance(found, kind):
            what = "CustomJob" if kind is CustomJob else "HyperparameterTuningJob"
            raise not_found(f"The {what} does not exist: {name}.")
        return found

    def all(self, kind: type[AnyJob], parent: Parent) -> list[AnyJob]:
        """Return the jobs of a project in a location, the newest first.

        Custom jobs of trials are not among them.
        """
        found = [
            job
            for job in self._jobs.values()
            if isinstance(job, kind) and job.parent == parent and not _of_trial(job)
        ]
        return found[::-1]

    def delete(self, job: CustomJob | TuningJob) -> None:
        """Forget a job."""
        self._jobs.pop(job.name, None)


def parent_of(name: str) -> Parent:
    """Return the parent that ``projects/P/locations/L`` names.

    Names that the service returns have the project's number, even if a request had its id.
    """
    _, project, _, location = name.split("/")[:4]
    number = project if project.isdecimal() else str(10**11 + zlib.crc32(project.encode()))
    return Parent(number, location)


def _with_number(name: str) -> str:
    rest = name.split("/")[4:]
    return "/".join([parent_of(name).name, *rest])


def _of_trial(job: CustomJob | TuningJob) -> bool:
    return isinstance(job, CustomJob) and job.trial is not None
