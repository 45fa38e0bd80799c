"""Translates Vertex AI's jobs and trials into cloudtune's states and trials.

States: JobState and Study.Trial.State of google-cloud-aiplatform 2.7.0. A trial has no state for a
failure or a cancellation: INFEASIBLE means that it has no final measurement, and only its custom
job may show why. Unknown states are kept as text and translated to ``unknown``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cloudtune.provider import Json, RawTrial, Study
from cloudtune.results import (
    JobState,
    Measurement,
    TrialState,
    explain_missing_objective,
    objective_values,
)
from cloudtune_vertex.errors import GoogleError
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
"""States of tuning jobs and custom jobs."""

TRIAL_STATES: Mapping[str, TrialState] = {
    "REQUESTED": "waiting",
    "ACTIVE": "running",
    "STOPPING": "running",
    "SUCCEEDED": "completed",
    "INFEASIBLE": "failed",
}
"""States of the trials of a tuning job, as far as the state itself shows."""

ENDED_STATES = frozenset(
    word for word, state in JOB_STATES.items() if state not in {"pending", "running"}
)
"""The states of a job that has ended."""
WAITING_STATES = frozenset(word for word, state in JOB_STATES.items() if state == "pending")
"""The states of a job that has no machine yet."""
TIMEOUT_REASON = "its trial_timeout was reached"
_STOPPED_STATES = frozenset({"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"})
_MAX_REASON_LENGTH = 1_000
_UNAVAILABLE = 14
"""A code of google.rpc.Code."""
_NO_MACHINE = ("Resources are insufficient in region", "The following quota metrics exceed quota")
"""How the message of a job begins for which all zones of the region lacked machines
(https://github.com/openreview/openreview-expertise/issues/401, read 2026-11-30), or that found its
quota used up after it was created (https://github.com/GoogleCloudPlatform/vertex-ai-samples/
issues/700, of a pipeline, read 2026-12-01)."""
_ROUNDING = 1.0
"""Seconds by which a job that reached its limit may seem shorter, since times are rounded."""
_EARLY_STOPPING_FIELDS = (
    "decayCurveStoppingSpec",
    "medianAutomatedStoppingSpec",
    "convexAutomatedStoppingSpec",
)
"""The fields of a study that stop unpromising trials."""


@dataclass
class Machine:
    """What polls have shown of the machine of a custom job.

    Google sets ``startTime`` 0.15 s after it accepts a job, which then still waits (recorded
    2026-07-08), so it does not show when the machine runs.
    """

    runs_since: float | None = None
    """Since when the machine has run at all; None if no poll has seen that."""
    restarted: float | None = None
    """Since when it has run without another wait, such as that of a restart."""
    waited_until: float | None = None
    """The last poll that has shown a wait; None if none has."""

    def see(self, custom_job: Json) -> None:
        """Record what a poll shows. The last update of a running job was at its start or later."""
        now = time.time()
        if service_state(custom_job) in WAITING_STATES:
            self.restarted = None
            self.waited_until = now
        elif service_state(custom_job) == "JOB_STATE_RUNNING" and self.restarted is None:
            self.restarted = min(now, to_seconds(custom_job.get("updateTime")) or now)
            if self.runs_since is None:
                self.runs_since = self.restarted

    def is_timed_out(self, custom_job: Json) -> bool:
        """Return whether a custom job was cancelled when it reached its time limit.

        Google does not report it, so it is known only if polls have shown that the job ran for that
        long: the ``startTime`` of a job, and of its trial, may be when it began to wait.
        """
        spec: Json = custom_job.get("jobSpec", {})
        limit = str(spec.get("scheduling", {}).get("timeout", "")).removesuffix("s")
        end = to_seconds(custom_job.get("endTime"))
        if service_state(custom_job) != "JOB_STATE_CANCELLED":
            return False
        if not limit or self.restarted is None or end is None:
            return False
        return end - self.restarted >= float(limit) - _ROUNDING


@dataclass(frozen=True)
class TrialData:
    """Everything known about one trial of a tuning job."""

    trial: Json
    """The trial in the tuning job."""
    curve: Curve
    """The measurements that its launcher saved."""
    custom_job: Json | None = None
    """The custom job of a trial that has ended or not been seen running, if it could be read."""
    machine: Machine = field(default_factory=Machine)
    """What polls have shown of the custom job's machine."""
    was_stopping: bool = False
    """Whether a poll has seen it in the state STOPPING."""
    final_job_state: str = ""
    """The state of a tuning job that has ended without ending this trial."""


def service_state(resource: Json) -> str:
    """Return the service's state of a job or a trial."""
    return str(resource.get("state", "STATE_UNSPECIFIED"))


def has_ended(job: Json) -> bool:
    """Return whether a tuning job or custom job has ended."""
    return service_state(job) in ENDED_STATES


def waits(job: Json) -> bool:
    """Return whether a job has no machine yet."""
    return service_state(job) in WAITING_STATES


def is_stopped(job: Json) -> bool:
    """Return whether a job is being cancelled, or was."""
    return service_state(job) in _STOPPED_STATES


def trial_has_ended(trial: Json) -> bool:
    """Return whether a trial of a tuning job has ended."""
    return service_state(trial) in {"SUCCEEDED", "INFEASIBLE"}


def failure_reason(job: Json) -> str:
    """Return why a job is in its state; empty if the service gives no reason."""
    message = str(job.get("error", {}).get("message", ""))[:_MAX_REASON_LENGTH]
    match service_state(job):
        case "JOB_STATE_CANCELLED":
            return "the job was cancelled"
        case "JOB_STATE_EXPIRED":
            return message or "the job expired at Vertex AI"
        case "JOB_STATE_FAILED":
            return message or "Vertex AI gives no reason; see the job's log"
        case _:
            return message


def is_lost(job: Json) -> bool:
    """Return whether Vertex AI failed to run a job, through no fault of its script.

    After two restarts, it "returns an internal error with the message: Internal error occurred for
    the current attempt" (page understanding-training-service, read 2026-11-27). That the code of a
    machine that was taken away without a restart is UNAVAILABLE is not verified.
    """
    error: Json = job.get("error", {})
    is_internal = str(error.get("message", "")).startswith("Internal error occurred")
    is_failed = service_state(job) == "JOB_STATE_FAILED"
    return is_failed and (is_internal or error.get("code") == _UNAVAILABLE)


def got_no_machine(custom_job: Json) -> bool:
    """Return whether a job failed because its region had no machine for it.

    With FLEX_START, a job that has waited for ``maxWaitDuration`` expires (types of
    google-cloud-aiplatform 2.7.0, Scheduling).
    """
    scheduling: Json = custom_job.get("jobSpec", {}).get("scheduling", {})
    if service_state(custom_job) == "JOB_STATE_EXPIRED":
        return bool(scheduling.get("strategy") == "FLEX_START")
    message = str(custom_job.get("error", {}).get("message", ""))
    return _has_failed(custom_job) and message.startswith(_NO_MACHINE)


def to_trial(data: TrialData, job: Json, study: Study, *, log: str | None) -> RawTrial:
    """Return a trial of a tuning job, from what is known about it.

    Raises:
        GoogleError: If its id is no number.
    """
    trial = data.trial
    measurements = _measurements(data, study)
    state, reason = _state(data, job, study, measurements)
    over = state not in {"running", "waiting"} and (
        trial_has_ended(trial) or bool(data.final_job_state)
    )
    ended = trial.get("endTime") or job.get("endTime") or job.get("updateTime")
    word = service_state(trial)
    if data.custom_job is not None and (over or state == "waiting"):
        word = f"{word}: {service_state(data.custom_job)}"
    spec: Json = job.get("trialJobSpec", {})
    trial_id = str(trial.get("id", ""))
    created, end = to_seconds(trial.get("startTime")), to_seconds(ended) if over else None
    least, most = _bounds(data, created, end)
    if not trial_id.isdecimal():
        raise GoogleError(f"a trial in the response has no number, but the id {trial_id!r}")
    return RawTrial(
        number=int(trial_id),
        id=trial_id,
        state=state,
        word=word,
        stopping=service_state(trial) == "STOPPING",
        parameters={each["parameterId"]: each.get("value") for each in trial.get("parameters", ())},
        measurements=measurements,
        created=created,
        started=data.machine.runs_since,
        ended=end,
        billed_seconds=most,
        billed_at_least=least,
        reason=reason,
        no_machine=over and got_no_machine(data.custom_job or {}),
        machine=machine(spec),
        log=log,
        artifacts=artifacts(spec, trial_id),
    )


def _bounds(
    data: TrialData, created: float | None, end: float | None
) -> tuple[float | None, float | None]:
    """Return for how long a trial has run at least and at most, if no custom job shows it.

    It ran from its first measurement or before, and not while a poll has shown that it waits.
    """
    is_shown = data.custom_job is not None or data.machine.runs_since is not None
    if is_shown or created is None or end is None:
        return None, None
    times = [each.time for each in data.curve.measurements() if each.time is not None]
    since = max(created, data.machine.waited_until or created)
    most = max(0.0, end - since)
    return min(most, max(0.0, end - min(times, default=end))), most


def machine(spec: Json) -> str | None:
    """Return the machine type of a CustomJobSpec."""
    pools: Sequence[Json] = spec.get("workerPoolSpecs") or [{}]
    machine_type: str | None = pools[0].get("machineSpec", {}).get("machineType")
    return machine_type


def artifacts(spec: Json, trial: str = "") -> str | None:
    """Return the address of the model of a job, or of a trial of a tuning job."""
    base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    return "/".join([base.rstrip("/"), *([trial] if trial else []), "model"]) if base else None


def to_seconds(text: str | None) -> float | None:
    """Return a time of a response in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp() if text else None


def _measurements(data: TrialData, study: Study) -> list[Measurement]:
    """Return the curve of a trial, and its final measurement if the curve does not contain it.

    The service may have another value than the curve: its last value arrives late, or its best of
    the last hundred is not the best of all. It never receives values that are not finite, so after
    such a value its last one is not new.
    """
    measurements = data.curve.measurements()
    final: Json | None = data.trial.get("finalMeasurement")
    if final is None or not trial_has_ended(data.trial):
        return measurements
    values = {each["metricId"]: float(each.get("value", 0)) for each in final.get("metrics", ())}
    for objective in study.objectives:
        name = objective.metric
        reported = [m.metrics[name] for m in measurements if name in m.metrics]
        any_counts = objective.select == "best" or (reported and not math.isfinite(reported[-1]))
        if name in values and values[name] not in (reported if any_counts else reported[-1:]):
            last_step = max((m.step for m in measurements), default=1)
            step = int(final.get("stepCount") or 0) or last_step
            ended = to_seconds(data.trial.get("endTime"))
            return [*measurements, Measurement(step, values, ended)]
    return measurements


def _state(
    data: TrialData, job: Json, study: Study, measurements: Sequence[Measurement]
) -> tuple[TrialState, str]:
    word = service_state(data.trial)
    if data.final_job_state in _STOPPED_STATES:
        return "cancelled", "the tuning job was cancelled"
    if data.final_job_state:
        return "unknown", "the tuning job has ended, and Vertex AI does not report this trial's end"
    custom_job = data.custom_job or {}
    if not trial_has_ended(data.trial):
        # Without a custom job, as until 2021, or the right to read it, the tuning job shows a wait.
        is_unseen = data.custom_job is None and data.machine.runs_since is None
        waits = service_state(job if is_unseen else custom_job) in WAITING_STATES
        return ("waiting", "") if waits else (TRIAL_STATES.get(word, "unknown"), "")
    if data.machine.is_timed_out(custom_job):
        return "failed", TIMEOUT_REASON
    if got_no_machine(custom_job):
        return "failed", failure_reason(custom_job)
    if data.was_stopping or is_stopped(custom_job):
        return _stopped_state(data.trial, job)
    if word == "INFEASIBLE":
        return "failed", _infeasible_reason(data, study)
    if objective_values(study, [m.metrics for m in measurements]) is not None:
        return "completed", data.curve.failure
    missing = [name for name in _metrics(study) if not any(name in m.metrics for m in measurements)]
    if missing:
        return "failed", f"it ended, and Vertex AI reports no {' and no '.join(missing)}"
    return "failed", explain_missing_objective(study, measurements, "")


def _stopped_state(trial: Json, job: Json) -> tuple[TrialState, str]:
    """Return whether a trial was stopped by the service, by the user, or with its tuning job.

    Vertex AI does not report it. A job that ends starts no more trials, so a trial that was
    followed by another was stopped for itself. If a limit may be the reason, a trial stays running
    until another one follows or the job has ended.
    """
    stops_early = any(field in job.get("studySpec", {}) for field in _EARLY_STOPPING_FIELDS)
    followed = _was_followed(trial, job)
    if is_stopped(job) and not followed:
        return "cancelled", "the tuning job was cancelled"
    failed = _has_failed(job) and not followed
    limited = not (failed or followed) and _may_be_at_limit(trial, job)
    if limited and not has_ended(job):
        return "running", ""
    if stops_early and (failed or limited):
        reason = "Vertex AI does not report whether it was stopped early or with the tuning job"
        return "unknown", reason
    if stops_early:
        return "stopped_early", "Vertex AI stopped it early"
    if failed:
        return "cancelled", "it was stopped with the tuning job, which failed"
    if limited:
        return "cancelled", "it was stopped with the tuning job, at a limit of the study"
    return "cancelled", "its custom job was cancelled at Vertex AI"


def _was_followed(trial: Json, job: Json) -> bool:
    """Return whether another trial started after the end of this one."""
    end = to_seconds(trial.get("endTime"))
    starts = [to_seconds(each.get("startTime")) for each in job.get("trials", ())]
    return end is not None and any(start is not None and start > end for start in starts)


def _has_failed(job: Json) -> bool:
    return JOB_STATES.get(service_state(job)) == "failed"


def _may_be_at_limit(trial: Json, job: Json) -> bool:
    """Return whether a limit of the study may have ended a trial."""
    limits: Json = job.get("studySpec", {}).get("studyStoppingConfig", {})
    max_duration = limits.get("maximumRuntimeConstraint", {}).get("maxDuration")
    start, end = to_seconds(job.get("createTime")), to_seconds(trial.get("endTime"))
    only_time = limits.keys() <= {"maximumRuntimeConstraint", "shouldStopAsap"}
    if only_time and max_duration and start is not None and end is not None:
        return end >= start + float(max_duration.removesuffix("s"))
    return bool(limits)


def _infeasible_reason(data: TrialData, study: Study) -> str:
    custom_job = data.custom_job or {}
    if data.curve.failure:
        return data.curve.failure
    if _has_failed(custom_job):
        return failure_reason(custom_job)
    saved = data.curve.measurements()
    if objective_values(study, [m.metrics for m in saved]) is None and all(
        any(name in m.metrics for m in saved) for name in _metrics(study)
    ):
        return explain_missing_objective(study, saved, "")
    reason = f"it ended, and Vertex AI recorded no {' or '.join(_metrics(study)) or 'objective'}"
    message = data.trial.get("infeasibleReason", "")
    return f"{reason}: {message}" if message else reason


def _metrics(study: Study) -> list[str]:
    return [objective.metric for objective in study.objectives]
