"""All jobs of the emulator, by region and name. Names differ by more than their case.

"The name is not case sensitive" (botocore 1.44.8 model, documentation of CreateTrainingJob's and
CreateHyperParameterTuningJob's names).
"""

from __future__ import annotations

import threading
from typing import Any

from cloudtune_sagemaker.emulator.errors import in_use, invalid, not_found
from cloudtune_sagemaker.emulator.state import TrainingJob, TuningJob
from cloudtune_sagemaker.emulator.storage import ACCOUNT


class Store:
    """Holds the jobs, and the lock under which they change."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._training: dict[tuple[str, str], TrainingJob] = {}
        self._tuning: dict[tuple[str, str], TuningJob] = {}

    def add_training(self, job: TrainingJob) -> None:
        """Keep a training job whose name is free."""
        self._training[_key(job.region, job.name)] = job

    def add_tuning(self, job: TuningJob) -> None:
        """Keep a tuning job whose name is free."""
        self._tuning[_key(job.region, job.name)] = job

    def demand_free_training(self, region: str, name: str) -> None:
        """Refuse a training job's name that is taken.

        Raises:
            ServiceError: If it is.
        """
        taken = self._training.get(_key(region, name))
        if taken is not None:
            raise in_use(
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({taken.arn})"
            )

    def demand_free_tuning(self, region: str, name: str) -> None:
        """Refuse a tuning job's name that is taken, by a job that ended too.

        Raises:
            ServiceError: If it is.
        """
        if _key(region, name) in self._tuning:
            # Wording: aws/amazon-sagemaker-examples issue 2440.
            raise in_use(
                f"A hyperparameter tuning job with the name, {name}, already exists. "
                "Choose a different name."
            )

    def training(self, region: str, name: str) -> TrainingJob:
        """Return a training job.

        Raises:
            ServiceError: If there is none. An unknown name is a ValidationException here, as is
                commonly seen, though the model has ResourceNotFound.
        """
        job = self._training.get(_key(region, name))
        if job is None:
            raise invalid("Requested resource not found.")
        return job

    def tuning(self, region: str, name: str) -> TuningJob:
        """Return a tuning job.

        Raises:
            ServiceError: If there is none.
        """
        job = self._tuning.get(_key(region, name))
        if job is None:
            raise not_found(f"Amazon SageMaker can't find a tuning job with the name {name}.")
        return job

    def delete_tuning(self, job: TuningJob) -> None:
        """Forget a tuning job; its training jobs stay."""
        self._tuning.pop(_key(job.region, job.name), None)

    def trainings(self, region: str) -> list[TrainingJob]:
        """Return the training jobs of a region, as they were made."""
        return [job for job in self._training.values() if job.region == region]

    def tunings(self, region: str | None = None) -> list[TuningJob]:
        """Return the tuning jobs of a region, or all, as they were made."""
        return [job for job in self._tuning.values() if region in (None, job.region)]

    def by_arn(self, arn: str) -> TrainingJob | TuningJob:
        """Return a job by its ARN.

        Raises:
            ServiceError: If there is none.
        """
        jobs: list[Any] = [*self._training.values(), *self._tuning.values()]
        found: TrainingJob | TuningJob | None = next((j for j in jobs if j.arn == arn), None)
        if found is None:
            raise invalid(f"Resource not found: {arn}")
        return found


def arn_of(region: str, kind: str, name: str) -> str:
    """Return the ARN of a job; its name is in lower case there, as the service has it."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name.lower()}"


def _key(region: str, name: str) -> tuple[str, str]:
    return region, name.lower()
