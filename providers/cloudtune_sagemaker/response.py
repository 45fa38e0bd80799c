"""Translates SageMaker's descriptions of jobs into cloudtune's states and trials.

States: botocore 1.44.8, service model sagemaker 2017-07-24, which says that secondary states may
change. Unknown states are kept as text and translated to ``unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloudtune.provider import Json, RawTrial
from cloudtune.results import JobState, Measurement, TrialState
from cloudtune_sagemaker.native.names import AUTO, HYPERBAND

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

SECONDARY_PHASES: Mapping[str, Phase] = {
    "Starting": "waiting",
    "Pending": "waiting",
    "LaunchingMLInstances": "waiting",
    "PreparingTrainingStack": "waiting",
    "Downloading": "running",  # on the machine, and billed (recorded 2025-05)
    "DownloadingTrainingImage": "running",
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

TIMEOUT_REASONS: Mapping[str, str] = {
    "MaxRuntimeExceeded": "its trial_timeout was reached",
    "MaxWaitTimeExceeded": "waiting for spot capacity and training took longer than max_wait",
}
"""Secondary states of jobs that a time limit has stopped."""

_FINAL_PHASES: frozenset[Phase] = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True)
class TuningJob:
    """The facts about a tuning job that decide how its trials ended."""

    name: str
    status: str
    stops_early: bool
    """Whether it stops unpromising trials."""
    ends_trials: bool
    """Whether it can end, and stop its trials, before their number is reached."""
    max_resource: int | None
    """How often a trial may report its objective under hyperband."""
    objectives: frozenset[str]
    """The optimized metrics of all training definitions."""
    created: Sequence[float]
    """When its training jobs were created, in order."""
    stop_requested: frozenset[str] = frozenset()
    """The trials that were running when this process stopped the job."""


def phase(job: Json) -> Phase:
    """Return the phase of a training job."""
    main_phase = PHASES.get(job.get("TrainingJobStatus", ""), "unknown")
    secondary = job.get("SecondaryStatus")
    waits = SECONDARY_PHASES.get(secondary or "") == "waiting"
    if main_phase == "running" and secondary is None:  # in a list
        waits = not job.get("TrainingStartTime")
    return "waiting" if main_phase == "running" and waits else main_phase


def has_ended(job: Json) -> bool:
    """Return whether a training job has ended."""
    return phase(job) in _FINAL_PHASES


def wait_reason(job: Json) -> str:
    """Return what a training job waits for, in SageMaker's words."""
    transitions: Sequence[Json] = job.get("SecondaryStatusTransitions") or ()
    if not transitions or not (message := transitions[-1].get("StatusMessage")):
        return ""
    return f"{transitions[-1].get('Status')}: {message}"


def got_no_machine(job: Json) -> bool:
    """Return whether a job ended because SageMaker had no instance or no quota for it.

    The texts: https://github.com/DIAGNijmegen/rse-grand-challenge/issues/2631 (2022-08), and how
    SageMaker refuses a job (recorded to 2026). A spot job may also never have started in time.
    """
    never_ran = not job.get("TrainingStartTime")
    if job.get("SecondaryStatus") == "MaxWaitTimeExceeded":
        return never_ran
    reason = str(job.get("FailureReason") or "")
    return phase(job) == "failed" and reason.startswith(("CapacityError", "ResourceLimitExceeded"))


def is_stopped(job: Json) -> bool:
    """Return whether a training job was stopped, other than by its time limit."""
    stopped = phase(job) in {"stopping", "stopped"}
    return stopped and job.get("SecondaryStatus") not in TIMEOUT_REASONS


def to_tuning_job(
    description: Json, created: Iterable[float], stop_requested: Iterable[str] = ()
) -> TuningJob:
    """Return a tuning job from the response of DescribeHyperParameterTuningJob."""
    config: Json = description.get("HyperParameterTuningJobConfig", {})
    hyperband: Json = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    objectives: list[Json | None] = [
        config.get("HyperParameterTuningJobObjective"),
        *(d.get("TuningObjective") for d in description.get("TrainingJobDefinitions", ())),
    ]
    return TuningJob(
        name=description.get("HyperParameterTuningJobName", ""),
        status=description.get("HyperParameterTuningJobStatus", ""),
        stops_early=config.get("TrainingJobEarlyStoppingType") == AUTO
        or config.get("Strategy") == HYPERBAND,
        ends_trials=bool(config.get("TuningJobCompletionCriteria"))
        or "MaxRuntimeInSeconds" in config.get("ResourceLimits", {}),
        max_resource=hyperband.get("MaxResource"),
        objectives=frozenset(
            each["MetricName"] for each in objectives if each and "MetricName" in each
        ),
        created=sorted(created),
        stop_requested=frozenset(stop_requested),
    )


def job_reason(description: Json) -> str:
    """Return why a tuning job failed or ended; empty if SageMaker gives no reason.

    SageMaker does not name the completion criterion that ended a job, but reports how many training
    jobs have not improved (TuningJobCompletionDetails of botocore's model).
    """
    if failure := description.get("FailureReason"):
        return str(failure)
    if description.get("HyperParameterTuningJobStatus") == "Stopped":
        return "the tuning job was stopped"
    details: Json = description.get("TuningJobCompletionDetails", {})
    if details.get("ConvergenceDetectedTime"):
        return "SageMaker detected convergence"
    config: Json = description.get("HyperParameterTuningJobConfig", {})
    criteria: Json = config.get("TuningJobCompletionCriteria", {})
    patience = criteria.get("BestObjectiveNotImproving", {}).get(
        "MaxNumberOfTrainingJobsNotImproving"
    )
    idle = details.get("NumberOfTrainingJobsObjectiveNotImproving") or 0
    is_over = description.get("HyperParameterTuningJobStatus") == "Completed"
    if is_over and patience is not None and idle >= patience:
        return f"no better objective in {patience} trials, by 1 % as SageMaker counts it"
    return ""


def to_trial(
    job: Json,
    number: int,
    tuning_job: TuningJob,
    measurements: Sequence[Measurement],
    *,
    log: str | None,
) -> RawTrial:
    """Return a training job of a tuning job, from Search or `from_summary`, as a trial."""
    state, reason = _trial_state(job, tuning_job, measurements)
    return RawTrial(
        number=number,
        id=job["TrainingJobName"],
        state=state,
        parameters=job.get("HyperParameters", {}),
        measurements=measurements,
        created=to_seconds(job.get("CreationTime")),
        ended=end_time(job) if has_ended(job) else None,
        reason=reason,
        no_machine=got_no_machine(job),
        log=log,
        **reported_fields(job),
    )


def _trial_state(
    job: Json, tuning_job: TuningJob, measurements: Sequence[Measurement]
) -> tuple[TrialState, str]:
    match phase(job):
        case "waiting":
            return "waiting", wait_reason(job)
        case "running" | "stopping":
            return "running", ""
        case "failed":
            return "failed", failure_reason(job)
        case "stopped":
            return _stopped_state(job, tuning_job, measurements)
        case "completed":
            missing = missing_metric(tuning_job.objectives, measurements)
            return ("failed", missing) if missing else ("completed", "")
        case _:
            return "unknown", ""


def _stopped_state(
    job: Json, tuning_job: TuningJob, measurements: Sequence[Measurement]
) -> tuple[TrialState, str]:
    """Return whether early stopping, the user or a time limit stopped a trial."""
    if timeout_reason := TIMEOUT_REASONS.get(job.get("SecondaryStatus", "")):
        return "failed", timeout_reason
    if job["TrainingJobName"] in tuning_job.stop_requested:
        return "cancelled", "the tuning job was stopped"
    if not tuning_job.stops_early:
        if tuning_job.status == "InProgress":
            return "cancelled", "this training job was stopped at SageMaker"
        return "cancelled", "stopped with the tuning job"
    if tuning_job.max_resource:
        steps = {m.step for m in measurements if tuning_job.objectives & set(m.metrics)}
        if len(steps) >= tuning_job.max_resource:
            return "completed", ""
    continued = tuning_job.created and tuning_job.created[-1] > _stop_time(job)
    only_early_stops = tuning_job.status == "Completed" and not tuning_job.ends_trials
    if tuning_job.status == "InProgress" or continued or only_early_stops:
        return "stopped_early", "SageMaker stopped it early"
    return "unknown", "SageMaker does not report whether it stopped early or with the tuning job"


def _stop_time(job: Json) -> float:
    for transition in job.get("SecondaryStatusTransitions") or ():
        if transition.get("Status") == "Stopping":
            return to_seconds(transition.get("StartTime")) or 0.0
    return to_seconds(job.get("TrainingEndTime")) or 0.0


def missing_metric(objectives: Iterable[str], measurements: Sequence[Measurement]) -> str:
    """Return why a completed trial has no objective; empty if it has one."""
    measured = {name for measurement in measurements for name in measurement.metrics}
    expected = set(objectives)
    missing = sorted(expected - measured)
    if not missing or (measured & expected and len(expected) > 1):
        return ""
    return f"ended, and SageMaker found no {' and no '.join(missing)} in its log"


def failure_reason(job: Json) -> str:
    """Return why a training job failed."""
    return str(job.get("FailureReason") or "SageMaker gives no reason; check its log")


def is_lost(job: Json) -> bool:
    """Return whether SageMaker failed to run a job, through no fault of its script.

    Those are the failures that RetryStrategy repeats (botocore 1.44.8 model, RetryStrategy).
    """
    return str(job.get("FailureReason") or "").startswith("InternalServerError")


def _service_state(job: Json) -> str:
    status, secondary = job.get("TrainingJobStatus", "no status"), job.get("SecondaryStatus")
    state = status if secondary in (None, status) else f"{status}: {secondary}"
    history = [each.get("Status") for each in job.get("SecondaryStatusTransitions") or ()]
    for restart in ("Interrupted", "Restarting"):
        if count := history.count(restart):
            return f"{state} ({restart} {'once' if count == 1 else f'{count} times'})"
    return state


def end_time(job: Json) -> float | None:
    """Return when a training job ended, in seconds since the epoch."""
    return to_seconds(job.get("TrainingEndTime")) or to_seconds(job.get("LastModifiedTime"))


def reported_fields(job: Json) -> Json:
    """Return the fields of a `RawTrial` or `TrainingJob` as SageMaker reports them.

    The billed seconds are those of one instance.
    """
    billed = job.get("BillableTimeInSeconds")
    config: Json = job.get("ResourceConfig") or {}
    model: Json = job.get("ModelArtifacts") or {}
    return {
        "word": _service_state(job),
        "started": to_seconds(job.get("TrainingStartTime")),
        "billed_seconds": None if billed is None else float(billed),
        "machine": config.get("SelectedInstanceType") or config.get("InstanceType"),
        "artifacts": model.get("S3ModelArtifacts"),
    }


def from_summary(summary: Json, description: Json) -> Json:
    """Return an item of ListTrainingJobsForHyperParameterTuningJob in the form of a training job.

    Its only hyperparameters are the tuned ones; the definitions in ``description``, the tuning job,
    have the static ones.
    """
    name = summary.get("TrainingJobDefinitionName")
    definitions: list[Json] = description.get("TrainingJobDefinitions") or [
        description.get("TrainingJobDefinition", {})
    ]
    empty: Json = {}
    definition = next((d for d in definitions if d.get("DefinitionName") == name), empty)
    job = {key: value for key, value in summary.items() if key not in _SUMMARY_FIELDS}
    job["HyperParameters"] = {
        **definition.get("StaticHyperParameters", {}),
        **summary.get("TunedHyperParameters", {}),
    }
    if final := summary.get("FinalHyperParameterTuningJobObjectiveMetric"):
        job["FinalMetricDataList"] = [final]
    return job


_SUMMARY_FIELDS = frozenset(
    ["TunedHyperParameters", "FinalHyperParameterTuningJobObjectiveMetric", "TuningJobName"]
)


def trial_numbers(tuning_job: str, jobs: Iterable[Json]) -> dict[str, int]:
    """Return the numbers of a tuning job's trials by the names of their training jobs.

    SageMaker's names contain the numbers, which is not documented: `JOB-001-` and eight hexadecimal
    digits in descriptions of 2020 and 2023. If a name does not, the numbers follow the order of
    creation.
    """
    ordered = sorted(
        jobs, key=lambda job: (to_seconds(job["CreationTime"]), job["TrainingJobName"])
    )
    names = [job["TrainingJobName"] for job in ordered]
    pattern = re.compile(rf"{re.escape(tuning_job)}-(\d+)-[0-9a-z]+", re.I)
    numbers = {name: int(match[1]) for name in names if (match := pattern.fullmatch(name))}
    if len(set(numbers.values()) - {0}) == len(names):
        return numbers
    return {name: number for number, name in enumerate(names, start=1)}


def to_seconds(time: datetime | float | None) -> float | None:
    """Return a time in a response as seconds since the epoch."""
    return time.timestamp() if isinstance(time, datetime) else time
