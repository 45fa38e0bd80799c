"""The jobs as the service keeps them: what they were asked to do, and how they stand."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from cloudtune.emulation.faults import Fault
from cloudtune.results.events import Measured
from cloudtune.study.schema import Json

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_LARGEST = 3.4028234663852886e38

_MESSAGES: Mapping[str, str] = {
    "Starting": "Starting the training job",
    "Pending": "Preparing the instances for training",
    "Downloading": "Downloading the training image and the input data",
    "Training": "Training in progress",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "Failed": "Training job failed",
    "Interrupted": "The managed spot instance was interrupted",
    "Restarting": "Restarting the training job",
    "MaxRuntimeExceeded": "The training job exceeded its maximum runtime",
    "MaxWaitTimeExceeded": "The training job exceeded its maximum waiting time",
}


@dataclass(frozen=True)
class TrialOf:
    """What makes a training job a trial of a tuning job."""

    tuning_name: str
    tuning_arn: str
    definition: str | None
    """The name of its training job definition, where the tuning job names them."""
    tuned: Mapping[str, str]
    metric: str
    goal: str
    """``Maximize`` or ``Minimize``."""


@dataclass
class TrainingJob:
    """One training job. Changed under the lock of the store alone."""

    request: Json
    """The members of CreateTrainingJob."""
    arn: str
    region: str
    folder: Path
    tags: dict[str, str]
    trial: TrialOf | None = None
    fault: Fault | None = None
    status: str = "InProgress"
    secondary: str = "Starting"
    transitions: list[Json] = field(default_factory=list[Json])
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    failure: str | None = None
    model: str | None = None
    measured: list[Measured] = field(default_factory=list[Measured])
    stop_wanted: Event = field(default_factory=Event)
    stop_why: str = ""
    """The secondary status in which a stop will end: Stopped, or a limit that was exceeded."""

    @property
    def name(self) -> str:
        """The name as it was given."""
        return str(self.request["TrainingJobName"])

    @property
    def machines(self) -> Json:
        """Its ResourceConfig, with what was selected once it has machines: always the first."""
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
        """How metrics are found in the output."""
        algorithm: Json = self.request.get("AlgorithmSpecification", {})
        found: Sequence[Mapping[str, str]] = algorithm.get("MetricDefinitions", ())
        return found

    @property
    def final(self) -> dict[str, tuple[float, float]]:
        """Each metric's last value, as 32 bits hold it, with its time."""
        found: dict[str, tuple[float, float]] = {}
        for measured in self.measured:
            for name, value in measured.metrics.items():
                found[name] = (float32(value), measured.time)
        return found

    @property
    def objective(self) -> float | None:
        """The final value of the tuning job's objective, once the job has ended well."""
        if self.trial is None or self.status not in {"Completed", "Stopped"}:
            return None
        found = self.final.get(self.trial.metric)
        return found[0] if found else None

    def enter(self, secondary: str, status: str | None = None) -> None:
        """Go to another secondary status, and perhaps another status."""
        now = time.time()
        if self.transitions and "EndTime" not in self.transitions[-1]:
            self.transitions[-1]["EndTime"] = now
        transition = {"Status": secondary, "StartTime": now}
        transition["StatusMessage"] = self.failure or _MESSAGES.get(secondary, secondary)
        if status in TERMINAL:
            transition["EndTime"] = now
            self.ended = now
        self.transitions.append(transition)
        self.secondary = secondary
        self.status = status or self.status
        self.modified = now


@dataclass
class TuningJob:
    """One tuning job. Changed under the lock of the store alone."""

    request: Json
    """The members of CreateHyperParameterTuningJob."""
    arn: str
    region: str
    tags: dict[str, str]
    status: str = "InProgress"
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    ended: float | None = None
    failure: str | None = None
    trials: list[TrainingJob] = field(default_factory=list[TrainingJob])
    not_improving: int = 0
    """How many training jobs have ended since the best one."""

    @property
    def name(self) -> str:
        """The name as it was given."""
        return str(self.request["HyperParameterTuningJobName"])

    @property
    def config(self) -> Json:
        """The tuning job's own configuration."""
        config: Json = self.request["HyperParameterTuningJobConfig"]
        return config

    @property
    def definitions(self) -> list[Json]:
        """The training job definitions, one or several."""
        several: list[Json] | None = self.request.get("TrainingJobDefinitions")
        return several or [self.request["TrainingJobDefinition"]]

    @property
    def best(self) -> TrainingJob | None:
        """The trial with the best objective."""
        return best_of(self.trials)

    def enter(self, status: str) -> None:
        """Go to another status."""
        self.status = status
        self.modified = time.time()
        if status in TERMINAL:
            self.ended = self.modified


def best_of(trials: Sequence[TrainingJob]) -> TrainingJob | None:
    """Return the first of the trials with the best objective, or None if none has one."""
    best: TrainingJob | None = None
    for job in trials:
        value = job.objective
        if value is None or job.trial is None:
            continue
        before = best.objective if best else None
        better = before is None or (
            value > before if job.trial.goal == "Maximize" else value < before
        )
        best = job if better else best
    return best


def float32(value: float) -> float:
    """Return the nearest number that the service's ``float`` can hold."""
    bounded = max(-_LARGEST, min(_LARGEST, value))
    number: float = struct.unpack("f", struct.pack("f", bounded))[0]
    return number
