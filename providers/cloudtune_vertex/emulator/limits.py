"""When a tuning job ends before it has made all its trials.

The stopping rules of StudyStoppingConfig are looked at "before Vizier would generate a new
suggestion", so at no other time, and not once all trials are made. Those that ask for more come
first: "setting min_num_trials=5 and always_stop_after= 1 hour means that the
Study will ONLY stop after it has 5 COMPLETED trials" (types of google-cloud-aiplatform 2.7.0).
"""

from __future__ import annotations

import time

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator.state import Trial, TuningJob
from cloudtune_vertex.emulator.times import instant, seconds_of

_MANY = 3
"""Failures from which on a ratio is looked at; see `too_many_failed`."""


def enough(job: TuningJob, now: float) -> str:
    """Return why no further trial is made; empty while there may be one, or none is left."""
    config: Json = job.study.get("studyStoppingConfig", {})
    if not config or len(job.trials) >= job.request["maxTrialCount"]:
        return ""
    ended = [trial for trial in job.trials if trial.state == "SUCCEEDED"]
    early = now < _due(job, config.get("minimumRuntimeConstraint"), 0.0)
    if early or len(ended) < config.get("minNumTrials", 0):
        return ""
    if now >= _due(job, config.get("maximumRuntimeConstraint"), float("inf")):
        return "its maximum runtime was reached"
    if len(job.trials) > config.get("maxNumTrials", len(job.trials)):
        return "its maximum number of trials was reached"
    best = _best(job, ended)
    if best is None:
        return ""
    since = [trial for trial in ended if (trial.ended or 0) > (best.ended or 0)]
    most = config.get("maxNumTrialsNoProgress")
    if most is not None and len(since) >= most:
        return f"no better objective in {most} trials"
    longest = seconds_of(config.get("maxDurationNoProgress"), float("inf"))
    if now - (best.ended or now) >= longest:
        return "no better objective for too long"
    return ""


def _due(job: TuningJob, constraint: Json | None, otherwise: float) -> float:
    if constraint is None:
        return otherwise
    if "endTime" in constraint:
        return instant(constraint["endTime"])
    return job.created + seconds_of(constraint.get("maxDuration"), 0.0)


def _best(job: TuningJob, ended: list[Trial]) -> Trial | None:
    """Return the trial with the best objective, of a study with one; the first of equals."""
    metrics: list[Json] = job.study["metrics"]
    if len(metrics) != 1:
        return None
    name = metrics[0]["metricId"]
    sign = 1 if metrics[0].get("goal") == "MINIMIZE" else -1
    in_order = sorted(ended, key=lambda trial: trial.ended or time.time())
    measured = [(sign * t.final.metrics[name], t) for t in in_order if t.final is not None]
    return min(measured, key=lambda pair: pair[0])[1] if measured else None


def too_many_failed(job: TuningJob, failed: int, ended: int) -> str:
    """Return why a tuning job fails with its trials; empty while it does not.

    A trial fails that is INFEASIBLE, "done but missing the final_measurement", whatever became of
    its custom job: the types have no other state for it. With maxFailedTrialCount, "the number of
    failed Trials that need to be seen", the job fails when that many have ("which reaches the
    user-specified limit of 5", tensorflow/models issue 9658, from which the wording is). With 0
    "Vertex AI decides": if the first trial fails the job ends at once; later it may when "the
    number of failed trials" or "the ratio of failed trials to successful trials has grown too high"
    (page "Create a hyperparameter tuning job"). How high is not told; here more failed than
    succeeded, and at least three.
    """
    limit: int = job.request.get("maxFailedTrialCount", 0)
    if limit:
        if failed < limit:
            return ""
        return (
            f"{failed} total hyperparameter trial failures were seen, out of {len(job.trials)} "
            f"trials attempted which reaches the user-specified limit of {limit}."
        )
    if failed and failed == ended == 1:
        return "The first hyperparameter trial failed, so that no further one is started."
    if failed >= _MANY and failed > ended - failed:
        return f"{failed} of {ended} hyperparameter trials failed, which is too many."
    return ""
