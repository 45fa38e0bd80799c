"""Trainings, searches and executions in the services' own form.

The form of searches is that of the responses that are recorded in IBM/wmla-assets: in
``WMLA-HPO-state.ipynb`` and ``WMLA-HPO-Custom-Experiment.ipynb`` for the accelerator only, in
``CPD3.5.0-model-hyperparameter-optimization-via-wmla-api.ipynb`` for Cloud Pak for Data. The
states are those of its ``wmla4.8-cpd4.8`` readme ("Tuning states", "Experiment training states").
``complete`` includes the failed ones. Chosen: that ``metricVal`` is the best value of a trial's
objective, that ``metrics`` only has those of ``additionalMetrics``, that a trial without the
objective's metric is FINISHED and has no ``metricVal``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from cloudtune.emulator_kit import Json
from cloudtune_watson.emulator.errors import ServiceError
from cloudtune_watson.emulator.models import locations
from cloudtune_watson.emulator.rules.search import JOBS, METRICS
from cloudtune_watson.emulator.state import Experiment, Job, Search, Training
from cloudtune_watson.emulator.times import format_clock, format_duration, format_time

CREATOR = "Admin"
_EXPERIMENT_STATES: Mapping[str, str] = {
    "waiting": "SUBMITTED",
    "running": "RUNNING",
    "storing": "RUNNING",
    "completed": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
TRAINING_STATES: Mapping[str, str] = {
    "waiting": "pending",
    "running": "running",
    "storing": "storing",
    "completed": "completed",
    "failed": "failed",
    "stopped": "canceled",
}


def search(search: Search, *, standalone: bool) -> Json:
    """Return a search.

    Args:
        search: The search.
        standalone: Whether the accelerator runs without Cloud Pak for Data.
    """
    experiments = [_experiment(search, each, standalone=standalone) for each in search.experiments]
    ended = [each for each in search.experiments if each.job.is_over]
    failed = [each for each in ended if each.job.state == "failed"]
    counts = (search.algorithm.get(JOBS, -1), len(search.data.get("experiments", ())))
    total = min([count for count in counts if count > 0] or [len(search.experiments)])
    view: Json = {
        "hpoName": search.name,
        "state": search.state,
        "progress": f"{len(ended)}/{total}",
        "running": len(search.experiments) - len(ended),
        "complete": len(ended),
        "failed": len(failed),
        "duration": format_duration((search.ended or time.time()) - search.created),
        "creator": CREATOR,
        "createtime": format_clock(search.created),
        "experiments": experiments,
    }
    if not standalone:
        view["algoDef"] = search.algorithm
        view["hyperParams"] = [_parameter(each) for each in search.data.get("hyperParams", [])]
    scores = [
        (search.sign * score, index)
        for index, each in enumerate(search.experiments)
        if (score := search.score(each)) is not None
    ]
    if scores:
        view["best"] = experiments[min(scores)[1]]
    return view


def _parameter(parameter: Json) -> Json:
    """Return a parameter of a request, without its empty lists."""
    fields = {name: field for name, field in parameter.items() if field != []}
    lower = {name: parameter[name].lower() for name in ("type", "dataType")}
    return {**fields, **lower, "userDefined": False}


def _experiment(search: Search, experiment: Experiment, *, standalone: bool) -> Json:
    job = experiment.job
    view: Json = {
        "id": experiment.id,
        "state": _EXPERIMENT_STATES[job.state],
        "appId": job.id,
        "startTime": format_clock(job.created),
        "hyperParams": experiment.params,
    }
    if standalone:
        view |= {"driverId": experiment.driver, "maxiteration": 0}
    if job.ended is not None:
        view["endTime"] = format_clock(job.ended)
    score = search.score(experiment)
    if score is not None:
        view["metricVal"] = score
    metrics = [
        {"name": name, "min": min(values), "max": max(values), "latest": values[-1]}
        for name in search.algorithm.get(METRICS, {})
        if (values := experiment.values(name))
    ]
    if job.state == "completed" and metrics:
        view["metrics"] = metrics
    return view


def execution(experiment: Experiment) -> Json:
    """Return an execution (``batch_to_row_dict`` of dlicmd 4.8.2)."""
    job = experiment.job
    state = _EXPERIMENT_STATES[job.state]
    return {
        "id": job.id,
        "appId": job.id,
        "submissionId": experiment.driver,
        "appName": job.id,
        "creator": CREATOR,
        "state": "ERROR" if state == "FAILED" else state,
        "createTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.created)),
        "numWorker": 1,
        "elastic": False,
    }


def training(training: Training) -> Json:
    """Return a training.

    ``metadata.id``, ``metadata.created_at`` and ``entity.status.state`` are what both clients read.
    Metrics are as in IBM's watsonx-ai-node-sdk (``TrainingMetric``), the failure as in its
    ``TrainingStatus``. Of the locations, those of `models.locations` are recorded; that there is
    a file ``learner-1/training-log.txt`` below ``logs`` is in ``_COS_logs`` of both clients; the
    others are chosen.
    """
    request, job = training.request, training.job
    paths = locations(request["results_reference"]["location"]["path"], job.id)
    path = paths["training"]
    location: Json = {
        **request["results_reference"]["location"],
        **paths,
        "model": f"{path}/model",
        "logs": f"{path}/logs",
        "training_log": f"{path}/logs/learner-1/training-log.txt",
    }
    about = {name: request[name] for name in ("name", "description", "tags") if name in request}
    entity = {name: request[name] for name in request if name not in {"space_id", "project_id"}}
    return {
        "metadata": {
            "id": job.id,
            "created_at": format_time(job.created),
            "modified_at": format_time(job.updated),
            training.scope[0]: training.scope[1],
            **about,
        },
        "entity": {
            **entity,
            "results_reference": {**request["results_reference"], "location": location},
            "status": _status(job),
        },
    }


def _status(job: Job) -> Json:
    status: Json = {"state": TRAINING_STATES[job.state]}
    if job.started is not None:
        status["running_at"] = format_time(job.started)
    if job.ended is not None:
        status["completed_at"] = format_time(job.ended)
    if job.measurements:
        status["metrics"] = [
            {
                "timestamp": format_time(min(max(each.time, 0.0), 4e9)),
                "iteration": each.step,
                "ml_metrics": dict(each.metrics),
            }
            for each in job.measurements
        ]
    if job.state == "failed":
        errors = ServiceError(400, "training_failed", job.reason).errors
        status["failure"] = {"trace": job.id, "errors": errors}
        status["message"] = {"level": "error", "text": job.reason.partition("\n")[0]}
    return status
