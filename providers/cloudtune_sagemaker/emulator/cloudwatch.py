"""What jobs leave in CloudWatch's metrics and logs.

The stores are moto's, the same that clients reach through the protocols of AWS.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudtune_sagemaker.emulator.state import ACCOUNT, TrainingJob
from cloudtune_sagemaker.emulator.storage import record_use

LOG_GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"
"""Where training jobs log (developer guide, logging-cloudwatch) and put their metrics (developer
guide, training-metrics)."""
_PERIOD = 60
"""Seconds whose values are stored as one set of statistics: what CloudWatch itself keeps of custom
metrics after three hours (CloudWatch user guide, cloudwatch_concepts, read 2026-11-27)."""


def put_log(job: TrainingJob, when: float) -> None:
    """Show what a job printed as a stream of CloudWatch's logs."""
    from moto.logs.models import logs_backends

    backend: Any = logs_backends[ACCOUNT][job.region]
    for name in ("CreateLogGroup", "CreateLogStream", "PutLogEvents"):
        arn = f"arn:aws:logs:{job.region}:{ACCOUNT}:log-group:{LOG_GROUP}"
        record_use(f"logs:{name}", arn)
    if LOG_GROUP not in backend.groups:
        backend.create_log_group(LOG_GROUP, {})
    name = f"{job.name}/algo-1-{int(job.created)}"
    backend.create_log_stream(LOG_GROUP, name)
    stream: Any = backend.groups[LOG_GROUP].streams[name]
    stream.events = _Lines(job.folder / "log.txt", int(when * 1000))
    stream.last_ingestion_time = datetime.fromtimestamp(when, UTC).replace(tzinfo=None)


class _Lines:
    """The lines of a log file as moto's events, read when they are asked for.

    It stands in for the list of events of a stream, which needs half a kilobyte a line.
    """

    def __init__(self, path: Path, stamp: int) -> None:
        self._path = path
        self._stamp = stamp
        self._added: list[Any] = []
        """The events that clients added to the stream."""

    def __iter__(self) -> Iterator[Any]:
        from moto.logs.models import LogEvent

        if self._path.is_file():
            with self._path.open(encoding="utf-8", errors="replace", newline="") as lines:
                for line in lines:
                    if text := line.rstrip("\r\n"):
                        yield LogEvent(self._stamp, {"timestamp": self._stamp, "message": text})
        yield from self._added

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __iadd__(self, events: Iterable[Any]) -> _Lines:
        self._added += events
        return self


def put_metrics(job: TrainingJob) -> None:
    """Store what a job measured in CloudWatch's metrics, as statistics of a minute each.

    The dimension is that of `TrainingJobAnalytics` of the sagemaker SDK (2.257.7).
    """
    from moto.cloudwatch.models import cloudwatch_backends

    record_use("cloudwatch:PutMetricData", "*")
    backend: Any = cloudwatch_backends[ACCOUNT][job.region]
    backend.put_metric_data(NAMESPACE, list(_statistics(job)))


def _statistics(job: TrainingJob) -> Iterator[dict[str, Any]]:
    for name, curve in job.curves.items():
        for _, group in itertools.groupby(curve, key=lambda point: point[0] // _PERIOD):
            points = list(group)
            values = [value for _, value in points]
            first = datetime.fromtimestamp(points[0][0], UTC)
            yield {
                "MetricName": name,
                "Dimensions": [{"Name": "TrainingJobName", "Value": job.name}],
                "Timestamp": first.replace(tzinfo=None),  # moto's times have no zone
                "StatisticValues": {
                    "Sum": sum(values),
                    "Minimum": min(values),
                    "Maximum": max(values),
                    "SampleCount": len(values),
                },
            }
