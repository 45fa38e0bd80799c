"""Jobs in the form of Get and List."""

from __future__ import annotations

import math
import time

from cloudtune.emulator_kit import Json
from cloudtune_vertex.contract import Measurement
from cloudtune_vertex.emulator.state import (
    Job,
    Parent,
    TrainingPipeline,
    Trial,
    TuningJob,
    new_number,
)
from cloudtune_vertex.emulator.times import format_time

AIPLATFORM = "type.googleapis.com/google.cloud.aiplatform.v1."


def job(job: Job, *, trials: bool = True) -> Json:
    """Return a job; List omits the trials of a tuning job.

    Trials are not in the order of their numbers: a documented sample has 2, 3, 1 (page "Create a
    hyperparameter tuning job").
    """
    view: Json = {
        **job.request,
        "name": job.name,
        "state": job.state,
        "createTime": format_time(job.created),
        "updateTime": format_time(job.updated),
    }
    if job.start_time is not None:
        view["startTime"] = format_time(job.start_time)
    if job.ended is not None:
        view["endTime"] = format_time(job.ended)
    if job.error is not None:
        view["error"] = {"code": job.error.code, "message": job.error.message}
    if isinstance(job, TrainingPipeline):
        view["trainingTaskMetadata"] = {"backingCustomJob": job.job.name}
        if job.model is not None:
            view["modelToUpload"] = {**job.request["modelToUpload"], "name": job.model}
    if trials and isinstance(job, TuningJob) and job.trials:
        view["trials"] = [_trial(job, each) for each in (*job.trials[1:], job.trials[0])]
    return view


def _trial(job: TuningJob, trial: Trial) -> Json:
    """Return a trial; as in the documented sample, without name and measurements.

    That it names its custom job, and its measurements their duration, is in the types of
    google-cloud-aiplatform 2.7.0. No trial newer than 2021 was recorded.
    """
    view: Json = {
        "id": str(trial.number),
        "state": trial.state,
        "parameters": [
            # As in google.protobuf.Value, where every number is a double.
            {"parameterId": name, "value": value if isinstance(value, str) else float(value)}
            for name, value in trial.parameters.items()
        ],
        "startTime": format_time(trial.started),
        "customJob": trial.job.name,
    }
    if trial.ended is not None:
        view["endTime"] = format_time(trial.ended)
    if trial.final is not None:
        view["finalMeasurement"] = _measurement(job, trial, trial.final)
    if trial.reason:
        view["infeasibleReason"] = trial.reason
    return _of_2021(view, trial) if job.trials_of_2021 else view


def _of_2021(view: Json, trial: Trial) -> Json:
    """Return a trial as it was recorded in 2021 (tests/recordings/vertex).

    It has no custom job and no durations, starts in nanoseconds and ends in whole seconds.
    """
    view = {name: field for name, field in view.items() if name != "customJob"}
    view["startTime"] = f"{format_time(trial.started)[:-1]}000Z"
    if trial.ended is not None:
        view["endTime"] = format_time(math.floor(trial.ended)).replace(".000000", "")
    if "finalMeasurement" in view:
        final: Json = view["finalMeasurement"]
        view["finalMeasurement"] = {k: v for k, v in final.items() if k != "elapsedDuration"}
    return view


def _measurement(job: TuningJob, trial: Trial, measurement: Measurement) -> Json:
    started = trial.job.started or trial.started
    return {
        "elapsedDuration": f"{max(0.0, measurement.time - started):.6f}s",
        "stepCount": str(measurement.step),
        "metrics": [{"metricId": name, "value": measurement.metrics[name]} for name in job.metrics],
    }


def operation(parent: Parent, metadata: str, response: Json) -> Json:
    """Return a long-running operation that is done, with a number of its own as recorded."""
    now = format_time(time.time())
    return {
        "name": f"{parent.name}/operations/{new_number()}",
        "metadata": {
            "@type": f"{AIPLATFORM}{metadata}",
            "genericMetadata": {"createTime": now, "updateTime": now},
        },
        "done": True,
        "response": response,
    }
