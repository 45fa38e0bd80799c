"""When a tuning job ends before its last trial.

The stopping rules of StudyStoppingConfig are evaluated "before Vizier would generate a new
suggestion", so at no other time, and not once all trials have started. Rules that ask for more win:
"setting min_num_trials=5 and always_stop_after= 1 hour means that the Study will ONLY stop after it
has 5 COMPLETED trials" (types of google-cloud-aiplatform 2.7.0).
"""

from __future__ import annotations

import time

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.state import Trial, TuningJob
from cloudtune_vertex.emulator.times import parse_duration, parse_time

_MIN_FAILURES = 3
"""Failures that make a ratio count; see `failure_reason`."""


def stop_reason(job: TuningJob, now: float) -> str:
    """Return why no further trial starts; empty while one may start, or none is left."""
    config: Json = job.study.get("studyStoppingConfig", {})
    if not config or len(job.trials) >= job.request["maxTrialCount"]:
        return ""
    succeeded = [trial for trial in job.trials if trial.state == "SUCCEEDED"]
    is_early = now < _deadline(job, config.get("minimumRuntimeConstraint"), 0.0)
    if is_early or len(succeeded) < config.get("minNumTrials", 0):
        return ""
    if now >= _deadline(job, config.get("maximumRuntimeConstraint"), float("inf")):
        return "its maximum runtime was reached"
    if len(job.trials) > config.get("maxNumTrials", len(job.trials)):
        return "its maximum number of trials was reached"
    best = _best(job, succeeded)
    if best is None:
        return ""
    later = [trial for trial in succeeded if (trial.ended or 0) > (best.ended or 0)]
    count = config.get("maxNumTrialsNoProgress")
    if count is not None and len(later) >= count:
        return f"no better objective in {count} trials"
    duration = parse_duration(config.get("maxDurationNoProgress"), float("inf"))
    if now - (best.ended or now) >= duration:
        return "no better objective for too long"
    return ""


def _deadline(job: TuningJob, constraint: Json | None, default: float) -> float:
    if constraint is None:
        return default
    if "endTime" in constraint:
        return parse_time(constraint["endTime"])
    return job.created + parse_duration(constraint.get("maxDuration"), 0.0)


def _best(job: TuningJob, trials: list[Trial]) -> Trial | None:
    """Return the first trial with the best objective; None with several objectives."""
    metrics: list[Json] = job.study["metrics"]
    if len(metrics) != 1:
        return None
    name = metrics[0]["metricId"]
    sign = 1 if metrics[0].get("goal") == "MINIMIZE" else -1
    in_order = sorted(trials, key=lambda trial: trial.ended or time.time())
    scores = [(sign * t.final.metrics[name], t) for t in in_order if t.final is not None]
    return min(scores, key=lambda pair: pair[0])[1] if scores else None


def failure_reason(job: TuningJob, failed: int, ended: int) -> str:
    """Return why a tuning job fails because of its trials; empty while it does not.

    A trial has failed if it is INFEASIBLE, "done but missing the final_measurement", regardless of
    its custom job: the types have no other state for it. With maxFailedTrialCount, "the number of
    failed Trials that need to be seen", the job fails when that many have ("which reaches the
    user-specified limit of 5", tensorflow/models issue 9658, the source of the wording). With 0
    "Vertex AI decides": if the first trial fails the job ends at once; later it may when "the
    number of failed trials" or "the ratio of failed trials to successful trials has grown too high"
    (page "Create a hyperparameter tuning job"). How high is not
    documented; here at least three, and more than succeeded.
    """
    limit: int = job.request.get("maxFailedTrialCount", 0)
    if limit:
        text = (
            f"{failed} total hyperparameter trial failures were seen, out of {len(job.trials)} "
            f"trials attempted which reaches the user-specified limit of {limit}."
        )
        return text if failed >= limit else ""
    if failed and failed == ended == 1:
        return "The first hyperparameter trial failed, so that no further one is started."
    if failed >= _MIN_FAILURES and failed > ended - failed:
        return f"{failed} of {ended} hyperparameter trials failed, which is too many."
    return ""
