"""BatchGetMetrics: the metrics of training jobs over their steps or over time.

Source: botocore 1.44.8, service model sagemaker-metrics 2022-09-30.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from cloudtune.study.schema import Json
from cloudtune_sagemaker.emulator.errors import ServiceError
from cloudtune_sagemaker.emulator.state import TrainingJob, float32
from cloudtune_sagemaker.emulator.store import Store

_SECONDS = {"OneMinute": 60, "FiveMinute": 300, "OneHour": 3600}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Min": min,
    "Max": max,
    "Avg": statistics.fmean,
    "Count": len,
    "StdDev": statistics.pstdev,
    "Last": lambda values: values[-1],
}


def metrics(store: Store, request: Json) -> Json:
    """Return the answer of BatchGetMetrics."""
    return {"MetricQueryResults": [_answer(store, query) for query in request["MetricQueries"]]}


def _answer(store: Store, query: Json) -> Json:
    try:
        job = store.by_arn(query["ResourceArn"])
    except ServiceError as error:
        return _wrong(error.message)
    if not isinstance(job, TrainingJob):
        return _wrong("The resource is no training job.")
    if (query["Period"] == "IterationNumber") != (query["XAxisType"] == "IterationNumber"):
        return _wrong("Period and XAxisType must both be IterationNumber, or neither.")
    points: dict[int, list[float]] = {}
    for number, (when, value) in enumerate(_values(job, query), start=1):
        if query["Period"] == "IterationNumber":
            place = number
        else:
            place = int(when) // _SECONDS[query["Period"]] * _SECONDS[query["Period"]]
        points.setdefault(place, []).append(value)
    how = _STATISTICS[query["MetricStat"]]
    return {
        "Status": "Complete",
        "XAxisValues": list(points),
        "MetricValues": [float32(how(values)) for values in points.values()],
    }


def _values(job: TrainingJob, query: Json) -> list[tuple[float, float]]:
    begin, end = query.get("Start", float("-inf")), query.get("End", float("inf"))
    return [
        (measured.time, measured.metrics[query["MetricName"]])
        for measured in list(job.measured)
        if query["MetricName"] in measured.metrics and begin <= measured.time <= end
    ]


def _wrong(message: str) -> Json:
    return {
        "Status": "ValidationError",
        "Message": message,
        "XAxisValues": [],
        "MetricValues": [],
    }
