"""The calls of MLflow's REST API that the launcher, its readers and simple scripts make.

Fields as in MLflow's own reference (mlflow.org/docs, REST API, read 2026-11-30). What Azure
answers is not verified against the live service.
"""

from __future__ import annotations

from typing import Any

from cloudtune.emulator_kit import Json, is_list, is_map
from cloudtune_azure.emulator.errors import MlflowError
from cloudtune_azure.emulator.state import CANCELED, COMPLETED, FAILED, Job

MAX_METRICS = 1000
"""The values that one batch may have."""
_STATES = {COMPLETED: "FINISHED", FAILED: "FAILED", CANCELED: "KILLED"}


def no_run(run: str) -> MlflowError:
    """Return the error for a run that does not exist."""
    return MlflowError(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found")


def log_batch(job: Job, body: Json) -> Json:
    """Add values and tags; a value that is there already is not added again."""
    metrics: Any = body.get("metrics") or []
    tags: Any = body.get("tags") or []
    if not is_list(metrics) or not is_list(tags) or len(metrics) > MAX_METRICS:
        raise _invalid(f"a batch has a list of up to {MAX_METRICS} metrics, and one of tags")
    values = [_metric(each) for each in metrics]
    has_metrics = job.fault is None or job.fault.effect != "no_metric"
    for value in values if has_metrics else ():
        if value not in job.metrics[-MAX_METRICS:]:
            job.metrics.append(value)
    job.run_tags |= {str(tag["key"]): str(tag["value"]) for tag in tags if is_map(tag)}
    return {}


def log(job: Job, call: str, body: Json) -> Json:
    """Carry out a call that adds one metric, parameter or tag, or ends a run.

    The state of a run stays that of its job, whatever its script says.
    """
    if call == "log-metric":
        return log_batch(job, {"metrics": [body]})
    if call == "set-tag":
        return log_batch(job, {"tags": [body]})
    if call == "log-parameter":
        job.run_params[str(body.get("key"))] = str(body.get("value"))
        return {}
    return {"run_info": get_run(job)["run"]["info"]}


def get_run(job: Job) -> Json:
    """Return a run, with the latest value of each metric: that of the highest step."""
    latest: dict[str, Json] = {}
    for each in job.metrics:
        before = latest.get(each["key"])
        if before is None or _order(each) >= _order(before):
            latest[each["key"]] = each
    own: Json = job.request.get("tags") or {}
    tags = own | job.run_tags
    info = {
        "run_id": job.name,
        "run_uuid": job.name,
        "experiment_id": str(job.request.get("experimentName") or "Default"),
        "user_id": "emulated",
        "status": _STATES.get(job.state, "RUNNING"),
        "start_time": int((job.started or job.created) * 1000),
        "end_time": int(job.ended * 1000) if job.ended else None,
        "lifecycle_stage": "active",
        # On Azure it begins with azureml:, for which MLflow's client needs a plug-in.
        "artifact_uri": (job.folder.absolute() / "artifacts").as_uri(),
    }
    data = {
        "metrics": list(latest.values()),
        "params": [{"key": key, "value": value} for key, value in job.run_params.items()],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    return {"run": {"info": info, "data": data}}


def get_history(job: Job, key: str) -> Json:
    """Return all values of a metric."""
    return {"metrics": [each for each in job.metrics if each["key"] == key]}


def _metric(given: Any) -> Json:
    if not is_map(given) or not isinstance(given.get("key"), str):
        raise _invalid("a metric has a key, a value, a timestamp and a step")
    value = given.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _invalid(f"Invalid value {value!r} for parameter 'value' supplied.")
    return {
        "key": given["key"],
        "value": float(value),
        "timestamp": int(given.get("timestamp") or 0),
        "step": int(given.get("step") or 0),
    }


def _order(metric: Json) -> tuple[int, int, float]:
    return metric["step"], metric["timestamp"], metric["value"]


def _invalid(message: str) -> MlflowError:
    return MlflowError(400, "INVALID_PARAMETER_VALUE", message)
