"""What SageMaker tells of its jobs, as cloudtune's own states and trials.

Words: botocore 1.44.8, service model sagemaker 2017-07-24; it says of the secondary ones that they
may change. A word that is not known here is kept, and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloudtune.provider.models import RawTrial
from cloudtune.results.events import JobState, TrialState
from cloudtune.results.model import Measurement
from cloudtune.study.schema import Json

Phase = Literal["waiting", "running", "stopping", "completed", "failed", "stopped", "unknown"]

JOB_STATES: Mapping[str, JobState] = {
    "InProgress": "running",
    "Stopping": "running",
    "Completed": "completed",
    "Failed": "failed",
    "Stopped": "cancelled",
    "Deleting": "unknown",
    "DeleteFailed": "unknown",
}
"""HyperParameterTuningJobStatus."""

PHASES: Mapping[str, Phase] = {
    "InProgress": "running",
    "Stopping": "stopping",
    "Completed": "completed",
    "Failed": "failed",
    "Stopped": "stopped",
    "Deleting": "unknown",
}
"""TrainingJobStatus."""

SECONDARY: Mapping[str, Phase] = {
    "Starting": "waiting",
    "Pending": "waiting",
    "LaunchingMLInstances": "waiting",
    "PreparingTrainingStack": "waiting",
    "Downloading": "waiting",
    "DownloadingTrainingImage": "waiting",
    "Training": "running",
    "Updating": "running",
    "Uploading": "running",
    "Interrupted": "waiting",
    "Restarting": "waiting",
    "Stopping": "stopping",
    "Completed": "completed",
    "Failed": "failed",
    "Stopped": "stopped",
    "MaxRuntimeExceeded": "stopped",
    "MaxWaitTimeExceeded": "stopped",
}
"""SecondaryStatus."""

TOO_LONG: Mapping[str, str] = {
    "MaxRuntimeExceeded": "its trial_timeout was reached",
    "MaxWaitTimeExceeded": "it waited for spot capacity, and trained, longer than max_wait",
}
"""Secondary words with which a job is stopped by a limit of its own."""

_ENDED: frozenset[Phase] = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True)
class Tuning:
    """What must be known of a tuning job to say how its trials ended."""

    name: str
    status: str
    stops_early: bool
    """Whether it stops trials that do badly."""
    ends_trials: bool
    """Whether it may come to its end, and stop its trials, other than by their number."""
    max_resource: int | None
    """How many times hyperband lets a trial report its objective."""
    objectives: frozenset[str]
    """The metrics that are optimised, over all training definitions."""
    created: Sequence[float]
    """When its training jobs were made, in order."""
    stop_asked: frozenset[str] = frozenset()
    """The trials that still ran when this process asked for a stop."""


def phase_of(job: Json) -> Phase:
    """Return how far a training job has come."""
    phase = PHASES.get(job["TrainingJobStatus"], "unknown")
    if phase == "running" and SECONDARY.get(job.get("SecondaryStatus", "")) == "waiting":
        return "waiting"
    return phase


def has_ended(job: Json) -> bool:
    """Tell whether a training job has come to its end."""
    return phase_of(job) in _ENDED


def is_stopped(job: Json) -> bool:
    """Tell whether a training job was asked to end, and no limit of its own is why."""
    stopped = phase_of(job) in {"stopping", "stopped"}
    return stopped and job.get("SecondaryStatus") not in TOO_LONG


def tuning_of(described: Json, created: Iterable[float], stop_asked: Iterable[str] = ()) -> Tuning:
    """Return what the answer of DescribeHyperParameterTuningJob says about its trials' ends.

    Args:
        described: The answer.
        created: When its training jobs were made.
        stop_asked: The names of those that ran when this process asked for a stop.
    """
    config: Json = described.get("HyperParameterTuningJobConfig", {})
    hyperband: Json = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    objectives = [
        each
        for each in (
            config.get("HyperParameterTuningJobObjective"),
            *(d.get("TuningObjective") for d in described.get("TrainingJobDefinitions", ())),
        )
        if each
    ]
    return Tuning(
        name=described["HyperParameterTuningJobName"],
        status=described["HyperParameterTuningJobStatus"],
        stops_early=config.get("TrainingJobEarlyStoppingType") == "Auto"
        or config.get("Strategy") == "Hyperband",
        ends_trials=bool(config.get("TuningJobCompletionCriteria"))
        or "MaxRuntimeInSeconds" in config.get("ResourceLimits", {}),
        max_resource=hyperband.get("MaxResource"),
        objectives=frozenset(each["MetricName"] for each in objectives),
        created=sorted(created),
        stop_asked=frozenset(stop_asked),
    )


def reason_of(described: Json) -> str:
    """Return why a tuning job stands as it does, where it says so."""
    if failure := described.get("FailureReason"):
        return str(failure)
    if described["HyperParameterTuningJobStatus"] == "Stopped":
        return "the tuning job was stopped"
    details: Json = described.get("TuningJobCompletionDetails", {})
    if details.get("ConvergenceDetectedTime"):
        return "SageMaker found that it had converged"
    return ""


def trial_of(
    job: Json,
    number: int,
    tuning: Tuning,
    measured: Sequence[Measurement],
    *,
    log: str | None,
) -> RawTrial:
    """Return a training job of a tuning job as a trial.

    Args:
        job: As Search, or `from_summary`, tells it.
        number: The trial's.
        tuning: The tuning job.
        measured: What it reported.
        log: Where its log is.
    """
    state, reason = _state(job, tuning, measured)
    return RawTrial(
        number=number,
        id=job["TrainingJobName"],
        state=state,
        word=word_of(job),
        parameters=job.get("HyperParameters", {}),
        measurements=measured,
        started=seconds(job.get("TrainingStartTime")) or seconds(job.get("CreationTime")),
        ended=ended_at(job) if has_ended(job) else None,
        reason=reason,
        billed_seconds=billed(job),
        machine=machine_of(job),
        log=log,
        artifacts=artifacts_of(job),
    )


def _state(job: Json, tuning: Tuning, measured: Sequence[Measurement]) -> tuple[TrialState, str]:
    match phase_of(job):
        case "waiting":
            return "pending", ""
        case "running" | "stopping":
            return "running", ""
        case "failed":
            return "failed", failure_of(job)
        case "stopped":
            return _stopped(job, tuning, measured)
        case "completed":
            missing = missing_metric(tuning.objectives, measured)
            return ("failed", missing) if missing else ("completed", "")
        case _:
            return "unknown", ""


def _stopped(job: Json, tuning: Tuning, measured: Sequence[Measurement]) -> tuple[TrialState, str]:
    """Return whether a trial was stopped by the service, by somebody, or by a limit."""
    if too_long := TOO_LONG.get(job.get("SecondaryStatus", "")):
        return "failed", too_long
    if job["TrainingJobName"] in tuning.stop_asked:
        return "cancelled", "the tuning job was stopped"
    if not tuning.stops_early:
        if tuning.status == "InProgress":
            return "cancelled", "this training job was stopped by itself, at SageMaker"
        return "cancelled", "it was stopped with the tuning job"
    if tuning.max_resource:
        steps = {m.step for m in measured if tuning.objectives & set(m.metrics)}
        if len(steps) >= tuning.max_resource:
            return "completed", ""
    went_on = tuning.created and tuning.created[-1] > _stopping_since(job)
    ends_alone = tuning.status == "Completed" and not tuning.ends_trials
    if tuning.status == "InProgress" or went_on or ends_alone:
        return "stopped_early", "SageMaker stopped it early"
    return "unknown", "SageMaker does not say whether it was stopped early or with the tuning job"


def _stopping_since(job: Json) -> float:
    for each in job.get("SecondaryStatusTransitions") or ():
        if each.get("Status") == "Stopping":
            return seconds(each.get("StartTime")) or 0.0
    return seconds(job.get("TrainingEndTime")) or 0.0


def missing_metric(objectives: Iterable[str], measured: Sequence[Measurement]) -> str:
    """Return why a trial that came to its end has no objective; empty where it has one."""
    told = {name for measurement in measured for name in measurement.metrics}
    lacking = sorted(set(objectives) - told)
    if not lacking or (told & set(objectives) and len(set(objectives)) > 1):
        return ""
    return f"it ended, and SageMaker found no {' and no '.join(lacking)} in what it printed"


def failure_of(job: Json) -> str:
    """Return why a training job failed."""
    return str(job.get("FailureReason") or "SageMaker gives no reason; its log may")


def word_of(job: Json) -> str:
    """Return SageMaker's own words for how a training job stands, and was taken up again."""
    main, second = job["TrainingJobStatus"], job.get("SecondaryStatus")
    word = main if second in (None, main) else f"{main}: {second}"
    been = [each.get("Status") for each in job.get("SecondaryStatusTransitions") or ()]
    for restart in ("Interrupted", "Restarting"):
        if restart in been:
            return f"{word} ({restart} {_times(been.count(restart))})"
    return word


def ended_at(job: Json) -> float | None:
    """Return when a training job ended, in seconds since the epoch."""
    return seconds(job.get("TrainingEndTime")) or seconds(job.get("LastModifiedTime"))


def billed(job: Json) -> float | None:
    """Return the seconds that one instance of a training job is charged for, once it is known."""
    told = job.get("BillableTimeInSeconds")
    return None if told is None else float(told)


def machine_of(job: Json) -> str | None:
    """Return the instance type of a training job."""
    config: Json = job.get("ResourceConfig") or {}
    machine: str | None = config.get("SelectedInstanceType") or config.get("InstanceType")
    return machine


def artifacts_of(job: Json) -> str | None:
    """Return where a training job put its model."""
    model: Json = job.get("ModelArtifacts") or {}
    uri: str | None = model.get("S3ModelArtifacts")
    return uri


def from_summary(summary: Json, described: Json) -> Json:
    """Return an item of ListTrainingJobsForHyperParameterTuningJob in the form of a training job.

    Args:
        summary: The item. It has the tuned values alone.
        described: The tuning job, whose definitions have the others.
    """
    name = summary.get("TrainingJobDefinitionName")
    definitions: list[Json] = described.get("TrainingJobDefinitions") or [
        described.get("TrainingJobDefinition", {})
    ]
    nothing: Json = {}
    definition = next((d for d in definitions if d.get("DefinitionName") == name), nothing)
    job = {key: value for key, value in summary.items() if key not in _OF_SUMMARIES}
    job["HyperParameters"] = {
        **definition.get("StaticHyperParameters", {}),
        **summary["TunedHyperParameters"],
    }
    if final := summary.get("FinalHyperParameterTuningJobObjectiveMetric"):
        job["FinalMetricDataList"] = [final]
    return job


_OF_SUMMARIES = frozenset(
    ["TunedHyperParameters", "FinalHyperParameterTuningJobObjectiveMetric", "TuningJobName"]
)


def numbers_of(tuning: str, jobs: Iterable[Json]) -> dict[str, int]:
    """Return the numbers of a tuning job's trials, by the names of their training jobs.

    SageMaker has them in the names, though it does not promise to. Else they are counted in the
    order in which they were made.
    """
    made = sorted(jobs, key=lambda job: (seconds(job["CreationTime"]), job["TrainingJobName"]))
    pattern = re.compile(rf"{re.escape(tuning)}-(\d+)-[0-9a-z]+", re.I)
    found = {
        job["TrainingJobName"]: int(match[1])
        for job in made
        if (match := pattern.fullmatch(job["TrainingJobName"]))
    }
    if len(set(found.values()) - {0}) == len(made):
        return found
    return {job["TrainingJobName"]: place for place, job in enumerate(made, start=1)}


def seconds(when: datetime | float | None) -> float | None:
    """Return a time of an answer in seconds since the epoch."""
    return when.timestamp() if isinstance(when, datetime) else when


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
