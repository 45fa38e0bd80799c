"""What the service remembers: jobs by region and name, what they were asked to do, their state.

Names differ by more than their case: "The name is not case sensitive" (botocore 1.44.8 model,
documentation of CreateTrainingJob's and CreateHyperParameterTuningJob's names).
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import Job, Json, ScriptJob
from cloudtune_sagemaker.emulator import built_in_metrics
from cloudtune_sagemaker.emulator.curves import Curves
from cloudtune_sagemaker.emulator.errors import in_use, invalid, not_found

ACCOUNT = "123456789012"
"""The account that owns everything in moto."""
TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_LARGEST = 3.4028234663852886e38

CAPACITY = "Training job waiting for capacity"
PREPARING = "Preparing the instances for training"
IMAGE = "Downloading the training image"

_MESSAGES: Mapping[str, str] = {
    "Starting": "Starting the training job",
    "Pending": CAPACITY,
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "Failed": "Training job failed",
    "Interrupted": "The managed spot instance was interrupted",
    "Restarting": "Restarting the training job",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
"""The first message of each secondary status, as recorded (tests/recordings/sagemaker: 2025-05, and
texts of 2019 to 2026). Not verified: Interrupted and Restarting are chosen, and MaxRuntimeExceeded
has the words of MaxWaitTimeExceeded."""


@dataclass(frozen=True)
class TrialInfo:
    """The trial of a tuning job that a training job is."""

    tuning_arn: str
    definition: str | None
    """The name of its training job definition, where the tuning job names them."""
    tuned: Mapping[str, str]
    metric: str
    goal: str
    """``Maximize`` or ``Minimize``."""

    @property
    def sign(self) -> int:
        """The factor by which lower objectives are better."""
        return 1 if self.goal == "Minimize" else -1


@dataclass
class WarmPool:
    """The instances of a job that keeps them for the next one."""

    launched: float
    status: str = "InUse"
    """Until the job has ended, and after that Available, Reused or Terminated."""
    idle_since: float | None = None
    until: float = 0.0
    """When they are terminated, once they are idle."""
    ended: float | None = None
    reused_by: str | None = None

    def expire(self) -> None:
        """Terminate instances that nothing has reused in time."""
        if self.status == "Available" and time.time() >= self.until:
            self.end("Terminated")

    def end(self, status: str, reused_by: str | None = None) -> None:
        """End the time in which they are idle."""
        self.status, self.reused_by = status, reused_by
        self.ended = time.time() if reused_by else self.until


@dataclass
class TrainingJob(ScriptJob):
    """A training job."""

    FINAL = TERMINAL

    request: Json
    """The members of CreateTrainingJob."""
    arn: str
    region: str
    folder: Path
    tags: dict[str, str]
    trial: TrialInfo | None = None
    state: str = field(default="InProgress", kw_only=True)
    secondary: str = "Starting"
    transitions: list[Json] = field(default_factory=list[Json])
    failure: str | None = None
    model: str | None = None
    curves: Curves = field(default_factory=Curves)
    pool: WarmPool | None = None
    """Its instances, if they are kept alive, or were reused."""
    stop_status: str = ""
    """The secondary status in which a stop ends: Stopped, or a limit that was exceeded."""

    @property
    def name(self) -> str:
        """The name as in the request."""
        return str(self.request["TrainingJobName"])

    @property
    def machines(self) -> Json:
        """Its ResourceConfig; once it has machines, with the selected one: always the first."""
        config: Json = self.request["ResourceConfig"]
        if self.started is None or "InstancePreferences" not in config:
            return config
        first = {**config, **config["InstancePreferences"][0]}
        return {
            **config,
            "SelectedInstanceType": first["InstanceType"],
            "SelectedInstanceCount": first["InstanceCount"],
        }

    @property
    def metric_definitions(self) -> Sequence[Mapping[str, str]]:
        """The expressions that find metrics in the output."""
        definitions: Sequence[Mapping[str, str]] = self.algorithm.get("MetricDefinitions", ())
        return definitions

    @property
    def algorithm(self) -> Json:
        """Its AlgorithmSpecification, with the metrics that the service adds."""
        objective = self.trial.metric if self.trial else ""
        return built_in_metrics.described(self.request.get("AlgorithmSpecification", {}), objective)

    @property
    def final(self) -> dict[str, tuple[float, float]]:
        """The last value of each metric, as 32 bits hold it, with its time."""
        return {name: (float32(value), when) for name, (value, when) in self.curves.last().items()}

    @property
    def objective(self) -> float | None:
        """The final value of the tuning job's objective, unless the job runs or has failed."""
        if self.trial is None or self.state not in {"Completed", "Stopped"}:
            return None
        value = self.final.get(self.trial.metric)
        return value[0] if value else None

    def enter_secondary(self, secondary: str, state: str | None = None) -> None:
        """Enter another secondary status, and perhaps another status."""
        self.enter(state or self.state)
        now = self.updated
        if self.transitions:
            self.transitions[-1].setdefault("EndTime", now)
        message = _MESSAGES.get(secondary, secondary)
        transition = {"Status": secondary, "StartTime": now, "StatusMessage": message}
        if self.is_over:
            transition["EndTime"] = now
        self.transitions.append(transition)
        self.secondary = secondary

    def tell(self, message: str) -> None:
        """Change the message of the current secondary status, which stays one entry."""
        self.transitions[-1]["StatusMessage"] = message
        self.updated = time.time()


@dataclass
class TuningRequest:
    """A request for a tuning job, and its parts."""

    request: Json
    """The members of CreateHyperParameterTuningJob."""

    @property
    def config(self) -> Json:
        """The tuning job's own configuration."""
        config: Json = self.request["HyperParameterTuningJobConfig"]
        return config

    @property
    def strategy(self) -> str:
        """The strategy."""
        return str(self.config["Strategy"])

    @property
    def limits(self) -> Json:
        """ResourceLimits."""
        limits: Json = self.config["ResourceLimits"]
        return limits

    @property
    def has_several(self) -> bool:
        """Whether the request has a list of definitions."""
        return "TrainingJobDefinitions" in self.request

    @property
    def definitions(self) -> list[Json]:
        """The training job definitions, one or several."""
        if self.has_several:
            return list(self.request["TrainingJobDefinitions"])
        return [self.request["TrainingJobDefinition"]]


@dataclass
class TuningJob(Job, TuningRequest):
    """A tuning job."""

    FINAL = TERMINAL

    arn: str
    region: str
    tags: dict[str, str]
    state: str = field(default="InProgress", kw_only=True)
    failure: str | None = None
    trials: list[TrainingJob] = field(default_factory=list[TrainingJob])
    not_improving: int = 0
    """How many training jobs have ended since the best one."""

    @property
    def name(self) -> str:
        """The name as in the request."""
        return str(self.request["HyperParameterTuningJobName"])

    @property
    def best(self) -> TrainingJob | None:
        """The trial with the best objective."""
        return best_of(self.trials)


def best_of(trials: Sequence[TrainingJob]) -> TrainingJob | None:
    """Return the first of the trials with the best objective; None if none has an objective."""
    scores = [
        (job.trial.sign * job.objective, index)
        for index, job in enumerate(trials)
        if job.objective is not None and job.trial is not None
    ]
    return trials[min(scores)[1]] if scores else None


def float32(value: float) -> float:
    """Return the nearest number that the service's ``float`` can hold."""
    bounded = max(-_LARGEST, min(_LARGEST, value))
    number: float = struct.unpack("f", struct.pack("f", bounded))[0]
    return number


class Store:
    """All jobs, and the lock under which they change."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._training: dict[tuple[str, str], TrainingJob] = {}
        self._tuning: dict[tuple[str, str], TuningJob] = {}

    def add_training(self, job: TrainingJob) -> None:
        """Add a training job whose name is free."""
        self._training[_key(job.region, job.name)] = job

    def add_tuning(self, job: TuningJob) -> None:
        """Add a tuning job whose name is free."""
        self._tuning[_key(job.region, job.name)] = job

    def demand_free_training(self, region: str, name: str) -> None:
        """Refuse a name that a training job has.

        Raises:
            ServiceError: If it is in use.
        """
        other = self._training.get(_key(region, name))
        if other is not None:
            raise in_use(
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({other.arn})"
            )

    def demand_free_tuning(self, region: str, name: str) -> None:
        """Refuse a name that a tuning job has, even one that has ended.

        Raises:
            ServiceError: If it is in use.
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
            ServiceError: If it does not exist: a ValidationException, as is commonly seen, though
                the model has ResourceNotFound.
        """
        job = self._training.get(_key(region, name))
        if job is None:
            raise invalid("Requested resource not found.")
        return job

    def tuning(self, region: str, name: str) -> TuningJob:
        """Return a tuning job.

        Raises:
            ServiceError: If it does not exist.
        """
        job = self._tuning.get(_key(region, name))
        if job is None:
            # Wording: aws/amazon-sagemaker-examples issue 1540 (2020).
            raise not_found(
                f"Amazon SageMaker can't find a tuning job called {name}. Type another name."
            )
        return job

    def delete_tuning(self, job: TuningJob) -> None:
        """Remove a tuning job; its training jobs stay."""
        self._tuning.pop(_key(job.region, job.name), None)

    def trainings(self, region: str) -> list[TrainingJob]:
        """Return the training jobs of a region in the order of their creation."""
        return [job for job in self._training.values() if job.region == region]

    def tunings(self, region: str | None = None) -> list[TuningJob]:
        """Return the tuning jobs of a region, or all, in the order of their creation."""
        return [job for job in self._tuning.values() if region in (None, job.region)]

    def by_arn(self, arn: str) -> TrainingJob | TuningJob:
        """Return a job by its ARN.

        Raises:
            ServiceError: If it does not exist.
        """
        jobs: list[Any] = [*self._training.values(), *self._tuning.values()]
        job: TrainingJob | TuningJob | None = next((job for job in jobs if job.arn == arn), None)
        if job is None:
            raise invalid(f"Resource not found: {arn}")
        return job


def arn_of(region: str, kind: str, name: str) -> str:
    """Return the ARN of a job, with its name in lower case as at the service."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name.lower()}"


def _key(region: str, name: str) -> tuple[str, str]:
    return region, name.lower()
