"""How much memory the emulator needs for what its jobs print and measure."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from cloudtune.emulator_kit import Measured
from cloudtune_sagemaker.emulator import cloudwatch
from cloudtune_sagemaker.emulator.state import ACCOUNT, TrainingJob

VALUES = 20_000
REGION = "eu-north-1"


@pytest.fixture
def job(tmp_path: Path) -> Iterator[TrainingJob]:
    """A job whose log has many lines."""
    (tmp_path / "log.txt").write_text("".join(f"loss={i}\n\n" for i in range(VALUES)))
    yield TrainingJob({"TrainingJobName": "one"}, "arn", REGION, tmp_path, {})
    for backends in (cloudwatch_backends, logs_backends):
        backends[ACCOUNT][REGION].reset()


def test_a_value_needs_a_few_bytes(job: TrainingJob) -> None:
    cloudwatch.put_metrics(job)  # what moto needs once
    assert logs_backends[ACCOUNT][REGION]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(VALUES):  # ten a second
            job.curves.add(Measured(1, 1e9 + i / 10, i + 1, {"loss": float(i)}))
        cloudwatch.put_log(job, 2e9)
        cloudwatch.put_metrics(job)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / VALUES < 50
    assert job.curves.measurements == VALUES
    assert job.final == {"loss": (VALUES - 1, 1e9 + (VALUES - 1) / 10)}
    assert [value for _, value in job.curves["loss"]] == list(range(VALUES))


def test_the_lines_are_read_from_the_file(job: TrainingJob) -> None:
    cloudwatch.put_log(job, 2e9)
    backend: Any = logs_backends[ACCOUNT][REGION]
    (stream,) = backend.groups[cloudwatch.LOG_GROUP].streams.values()
    lines, _, token = stream.get_log_events(None, None, 5, None, True)
    assert [line["message"] for line in lines] == [f"loss={i}" for i in range(5)]
    lines, _, _ = stream.get_log_events(None, None, 1, token, True)
    assert lines[0] == {"ingestionTime": 2 * 10**12, "message": "loss=5", "timestamp": 2 * 10**12}
    assert stream.to_describe_dict()["lastEventTimestamp"] == 2 * 10**12
    stream.put_log_events([{"timestamp": 5, "message": "added"}])
    assert stream.filter_log_events(None, 10, None)[0]["message"] == "added"


def test_statistics_of_a_minute(job: TrainingJob) -> None:
    for i, value in enumerate([1.0, 3.0, -8.0]):
        job.curves.add(Measured(1, 120.0 + 30 * i, i + 1, {"loss": value}))
    cloudwatch.put_metrics(job)
    backend: Any = cloudwatch_backends[ACCOUNT][REGION]
    first, second = backend.metric_data
    assert (first.min, first.max, first.sum, first.sample_count) == (1, 3, 4, 2)
    assert (second.sum, second.sample_count) == (-8, 1)
