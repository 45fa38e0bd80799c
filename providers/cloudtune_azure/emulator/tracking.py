"""The calls of MLflow's REST API that the launcher, its readers and simple scripts make.

Fields as in MLflow's own reference (mlflow.org/docs, REST API, read 2026-11-30). What Azure
answers is not verified against the live service.
"""

from __future__ import annotations

from cloudtune.emulator_kit import Fields, Json, problem
from cloudtune_azure.emulator.errors import ServiceError, mlflow_error
from cloudtune_azure.emulator.state import CANCELED, COMPLETED, FAILED, Job, Sweep

MAX_METRICS = 1000
"""The values that one batch may have."""
_BATCH: Fields = {
    "metrics[]?.key": str,
    "metrics[]?.value": (int, float, str),
    "metrics[]?.timestamp?": (int, str),
    "metrics[]?.step?": (int, str),
    "params[]?.key": str,
    "params[]?.value": (str, int, float),
    "tags[]?.key": str,
    "tags[]?.value": (str, int, float),
}
_SINGLE = {"log-metric": "metrics", "log-parameter": "params", "set-tag": "tags"}
"""The calls that log one of what a batch has lists of."""
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""How JSON of protocol buffers has the numbers that JSON lacks."""
STATES = {"FINISHED": COMPLETED, "FAILED": FAILED, "KILLED": CANCELED}
"""The states of jobs by those of runs that have ended."""


def no_run(run: str) -> ServiceError:
    """Return the error for a run that does not exist."""
    return mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found")


def log_batch(job: Job, body: Json) -> Json:
    """Add values, parameters and tags; a value that is there already is not added again."""
    if wrong := problem(body, _BATCH, "the request"):
        raise invalid(wrong)
    metrics: list[Json] = body.get("metrics") or []
    if len(metrics) > MAX_METRICS:
        raise invalid(f"a batch has up to {MAX_METRICS} metrics")
    values = [_metric(each) for each in metrics]
    has_metrics = job.fault is None or job.fault.effect != "no_metric"
    for value in values if has_metrics else ():
        if value not in job.metrics[-MAX_METRICS:]:
            job.metrics.append(value)
    job.run_params |= _texts(body.get("params"))
    job.run_tags |= _texts(body.get("tags"))
    return {}


def log(job: Job, call: str, body: Json) -> Json:
    """Carry out a call that adds one metric, parameter or tag, or another one: it has no effect."""
    if call in _SINGLE:
        return log_batch(job, {_SINGLE[call]: [body]})
    return {"run_info": get_run(job)["run"]["info"]}


def get_run(job: Job | Sweep) -> Json:
    """Return a run, with the latest value of each metric: that of the highest step."""
    latest: dict[str, Json] = {}
    own = job if isinstance(job, Job) else None
    for each in own.metrics if own else ():
        before = latest.get(each["key"])
        if before is None or _order(each) >= _order(before):
            latest[each["key"]] = each
    tags: Json = {**(job.request.get("tags") or {}), **(own.run_tags if own else {})}
    if own and own.sweep:
        tags["mlflow.parentRunId"] = own.sweep.name
    words = {state: word for word, state in STATES.items()}
    folder = own.folder.absolute().as_uri() if own else ""
    info = {
        "run_id": job.name,
        "run_uuid": job.name,
        "experiment_id": str(job.request.get("experimentName") or "Default"),
        "user_id": "emulated",
        "status": words.get(job.state, "RUNNING"),
        "start_time": int((job.started or job.created) * 1000),
        "end_time": int(job.ended * 1000) if job.ended else None,
        "lifecycle_stage": "active",
        # On Azure it begins with azureml:, for which MLflow's client needs a plug-in.
        "artifact_uri": f"{folder}/artifacts",
    }
    params = own.run_params if own else {}
    data = {
        "metrics": [_answer(each) for each in latest.values()],
        "params": [{"key": key, "value": value} for key, value in params.items()],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    return {"run": {"info": info, "data": data}}


def get_history(job: Job, key: str) -> Json:
    """Return all values of a metric."""
    return {"metrics": [_answer(each) for each in job.metrics if each["key"] == key]}


def _metric(given: Json) -> Json:
    """Return a value; JSON of protocol buffers has whole numbers, NaN and infinities as texts."""
    try:
        return {
            "key": given["key"],
            "value": float(given["value"]),
            "timestamp": int(given.get("timestamp") or 0),
            "step": int(given.get("step") or 0),
        }
    except ValueError as error:
        raise invalid(str(error)) from error


def _answer(metric: Json) -> Json:
    return {**metric, "value": _NOT_FINITE.get(repr(metric["value"]), metric["value"])}


def _texts(entries: list[Json] | None) -> dict[str, str]:
    return {each["key"]: str(each["value"]) for each in entries or ()}


def _order(metric: Json) -> tuple[int, int, float]:
    return metric["step"], metric["timestamp"], metric["value"]


def invalid(message: str) -> ServiceError:
    """Return the error for an invalid request."""
    return mlflow_error(400, "INVALID_PARAMETER_VALUE", message)
