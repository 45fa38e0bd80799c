"""What Vertex AI tells of its jobs, as cloudtune's own states and trials.

Words: JobState and Study.Trial.State of google-cloud-aiplatform 2.7.0. A trial has no state for a
failure or a cancellation: INFEASIBLE says that it has no final measurement, and why is told by its
custom job at best. A word that is not known here is kept, and means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudtune.provider import (
    JobState,
    Json,
    Measurement,
    RawTrial,
    Study,
    TrialState,
    explain_missing_objective,
    objective_values,
)
from cloudtune_vertex.metrics import Curve

JOB_STATES: Mapping[str, JobState] = {
    "JOB_STATE_QUEUED": "pending",
    "JOB_STATE_PENDING": "pending",
    "JOB_STATE_RUNNING": "running",
    "JOB_STATE_SUCCEEDED": "completed",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_CANCELLING": "running",
    "JOB_STATE_CANCELLED": "cancelled",
    "JOB_STATE_PAUSED": "running",
    "JOB_STATE_EXPIRED": "failed",
    "JOB_STATE_UPDATING": "running",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "completed",
}
"""Of tuning jobs and of custom jobs."""

TRIAL_STATES: Mapping[str, TrialState] = {
    "REQUESTED": "pending",
    "ACTIVE": "running",
    "STOPPING": "running",
    "SUCCEEDED": "completed",
    "INFEASIBLE": "failed",
}
"""Of the trials of a tuning job, before more is known of them."""

OVER = frozenset(word for word, state in JOB_STATES.items() if state not in {"pending", "running"})
"""The words of a job that has come to its end."""
_STOPPED = frozenset({"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"})
TOO_LONG = "its trial_timeout was reached"
_LONGEST = 1_000
_RULES = (
    "decayCurveStoppingSpec",
    "medianAutomatedStoppingSpec",
    "convexAutomatedStoppingSpec",
)
"""Of the study, by which trials that do badly are stopped."""
_LIMITS = "studyStoppingConfig"
"""At which the study, and all of its trials, are stopped."""


@dataclass(frozen=True)
class Told:
    """All that is known of one trial of a tuning job."""

    trial: Json
    """As the tuning job has it."""
    curve: Curve
    """What its launcher kept."""
    custom: Json | None = None
    """Its custom job, where it was looked at."""
    was_stopping: bool = False
    """Whether it was seen to be asked to end."""
    closing: str = ""
    """The word of its tuning job, where that has ended and this trial never will."""


def word_of(said: Json) -> str:
    """Return the service's own word for how a job or a trial stands."""
    return str(said.get("state", "STATE_UNSPECIFIED"))


def is_over(job: Json) -> bool:
    """Tell whether a job has come to its end."""
    return word_of(job) in OVER


def is_stopped(job: Json) -> bool:
    """Tell whether a job was asked to end, and no limit of its own is why."""
    return word_of(job) in _STOPPED and not is_too_long(job)


def is_too_long(custom: Json) -> bool:
    """Tell whether a custom job was cancelled when it had run for as long as it may."""
    spec: Json = custom.get("jobSpec", {})
    most = str(spec.get("scheduling", {}).get("timeout", "")).removesuffix("s")
    begun, ended = seconds(custom.get("startTime")), seconds(custom.get("endTime"))
    if word_of(custom) != "JOB_STATE_CANCELLED" or not most or begun is None or ended is None:
        return False
    return ended - begun >= float(most)


def has_ended(trial: Json) -> bool:
    """Tell whether a trial has come to its end."""
    return word_of(trial) in {"SUCCEEDED", "INFEASIBLE"}


def has_begun(trial: Json) -> bool:
    """Tell whether a trial has its parameters; without them there is nothing to tell of it."""
    return bool(trial.get("parameters"))


def reason_of(job: Json) -> str:
    """Return why a job stands as it does, where it says so."""
    error: Json = job.get("error", {})
    said = str(error.get("message", ""))[:_LONGEST]
    match word_of(job):
        case "JOB_STATE_CANCELLED":
            return "the job was cancelled"
        case "JOB_STATE_EXPIRED":
            return said or "Vertex AI let the job expire"
        case "JOB_STATE_FAILED":
            return said or "Vertex AI gives no reason; its log may"
        case _:
            return said


def trial_of(
    told: Told,
    job: Json,
    study: Study,
    *,
    log: str | None,
) -> RawTrial:
    """Return a trial of a tuning job.

    Args:
        told: What is known of it.
        job: The tuning job.
        study: What was sent.
        log: Where its log is.
    """
    trial = told.trial
    measured = _measured(told, study)
    state, reason = _state(told, job, study, measured)
    over = state != "running" and (has_ended(trial) or bool(told.closing))
    ended = seconds(trial.get("endTime")) or seconds(job.get("endTime"))
    word = word_of(trial)
    if told.custom is not None:
        word = f"{word}: {word_of(told.custom)}"
    spec: Json = job.get("trialJobSpec", {})
    return RawTrial(
        number=number_of(trial),
        id=str(trial.get("id", "")),
        state=state,
        word=word,
        stopping=word_of(trial) == "STOPPING",
        parameters={each["parameterId"]: each.get("value") for each in trial.get("parameters", ())},
        measurements=measured,
        started=seconds(trial.get("startTime")),
        ended=ended or seconds(job.get("updateTime")) if over else None,
        reason=reason,
        machine=machine_of(spec),
        log=log,
        artifacts=artifacts_of(spec, str(trial.get("id", ""))),
    )


def number_of(trial: Json) -> int:
    """Return the number of a trial."""
    return int(trial.get("id") or 0)


def machine_of(spec: Json) -> str | None:
    """Return the type of machine of a custom job's specification."""
    pools: Sequence[Json] = spec.get("workerPoolSpecs") or [{}]
    machine: str | None = pools[0].get("machineSpec", {}).get("machineType")
    return machine


def artifacts_of(spec: Json, trial: str = "") -> str | None:
    """Return where a job, or a trial of a tuning job, puts its model."""
    base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    return "/".join([base.rstrip("/"), *([trial] if trial else []), "model"]) if base else None


def seconds(when: str | None) -> float | None:
    """Return a time of an answer in seconds since the epoch."""
    return datetime.fromisoformat(when).timestamp() if when else None


def _measured(told: Told, study: Study) -> list[Measurement]:
    """Return the curve of a trial, and its final measurement where that is not in the curve.

    The service may have taken another value than we would: the last one is late, or its best of
    the last hundred is not the best of all. Of a value that is no finite number it is never told,
    so behind one its last value says nothing new.
    """
    measured = told.curve.measurements()
    final: Json | None = told.trial.get("finalMeasurement")
    if final is None or not has_ended(told.trial):
        return measured
    values = {each["metricId"]: float(each.get("value", 0)) for each in final.get("metrics", ())}
    for objective in study.objectives:
        name = objective.metric
        reported = [m.metrics[name] for m in measured if name in m.metrics]
        whole = objective.select == "best" or (reported and not math.isfinite(reported[-1]))
        among = reported if whole else reported[-1:]
        if name in values and values[name] not in among:
            step = int(final.get("stepCount") or 0) or max((m.step for m in measured), default=1)
            return [*measured, Measurement(step, values, seconds(told.trial.get("endTime")))]
    return measured


def _state(
    told: Told, job: Json, study: Study, measured: Sequence[Measurement]
) -> tuple[TrialState, str]:
    word = word_of(told.trial)
    if told.closing:
        cancelled = told.closing in _STOPPED
        if cancelled:
            return "cancelled", "the tuning job was cancelled"
        return "unknown", "the tuning job has ended, and Vertex AI does not say how this trial did"
    if not has_ended(told.trial):
        return TRIAL_STATES.get(word, "unknown"), ""
    custom = told.custom or {}
    if is_too_long(custom):
        return "failed", TOO_LONG
    if told.was_stopping or is_stopped(custom):
        return _stopped(told.trial, job)
    if word == "INFEASIBLE":
        return "failed", _why_infeasible(told, study)
    if objective_values(study, [m.metrics for m in measured]) is None:
        return "failed", _missing(study, measured)
    return "completed", ""


def _stopped(trial: Json, job: Json) -> tuple[TrialState, str]:
    """Return whether a trial was stopped by the service, by somebody, or with its tuning job.

    Vertex AI does not say it. A job that comes to its end begins no trial any more, so one that was
    followed by another was stopped by itself. Where a limit may be the reason, a trial is told as
    running until another one follows or the job has ended.
    """
    early = any(rule in job.get("studySpec", {}) for rule in _RULES)
    followed = _was_followed(trial, job)
    if is_stopped(job) and not followed:
        return "cancelled", "the tuning job was cancelled"
    failed = _has_failed(job) and not followed
    limited = not (failed or followed) and _may_be_at_a_limit(trial, job)
    if limited and not is_over(job):
        return "running", ""
    if early and (failed or limited):
        said = "Vertex AI does not say whether it was stopped early or with the tuning job"
        return "unknown", said
    if early:
        return "stopped_early", "Vertex AI stopped it early"
    if failed:
        return "cancelled", "it was stopped with the tuning job, which failed"
    if limited:
        return "cancelled", "it was stopped with the tuning job, at a limit of the study"
    return "cancelled", "its custom job was cancelled by itself, at Vertex AI"


def _was_followed(trial: Json, job: Json) -> bool:
    """Tell whether another trial began when one had ended."""
    ended = seconds(trial.get("endTime"))
    begun = [seconds(each.get("startTime")) for each in job.get("trials", ())]
    return ended is not None and any(when is not None and when > ended for when in begun)


def _has_failed(job: Json) -> bool:
    return is_over(job) and JOB_STATES[word_of(job)] == "failed"


def _may_be_at_a_limit(trial: Json, job: Json) -> bool:
    """Tell whether a trial may have ended because the study was at a limit."""
    limits: Json = job.get("studySpec", {}).get(_LIMITS, {})
    most = limits.get("maximumRuntimeConstraint", {}).get("maxDuration")
    begun, ended = seconds(job.get("createTime")), seconds(trial.get("endTime"))
    only_time = limits.keys() <= {"maximumRuntimeConstraint", "shouldStopAsap"}
    if limits and only_time and most and begun is not None and ended is not None:
        return ended >= begun + float(most.removesuffix("s"))
    return bool(limits)


def _why_infeasible(told: Told, study: Study) -> str:
    custom = told.custom or {}
    if told.curve.failure:
        return told.curve.failure
    if _has_failed(custom):
        return reason_of(custom)
    kept = told.curve.measurements()
    if objective_values(study, [m.metrics for m in kept]) is None and all(
        any(objective.metric in m.metrics for m in kept) for objective in study.objectives
    ):
        return explain_missing_objective(study, kept, "")
    names = " or ".join(objective.metric for objective in study.objectives)
    said = told.trial.get("infeasibleReason", "")
    reason = f"it ended, and Vertex AI took note of no {names or 'objective'}"
    return f"{reason}: {said}" if said else reason


def _missing(study: Study, measured: Sequence[Measurement]) -> str:
    told = {name for measurement in measured for name in measurement.metrics}
    lacking = [o.metric for o in study.objectives if o.metric not in told]
    if not lacking:
        return explain_missing_objective(study, measured, "")
    return f"it ended, and Vertex AI tells no {' and no '.join(lacking)}"
