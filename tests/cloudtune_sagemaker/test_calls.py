"""How many calls a look at a hundred training jobs takes: docs/how-it-works.md states it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune_sagemaker.training_client import SageMakerJobs
from tests.cloudtune_sagemaker import fake_aws as fake


def test_polling_a_hundred_jobs(tmp_path: Path) -> None:
    aws = fake.FakeAws()
    jobs = SageMakerJobs(aws, fake.planned("driven"), JobContext(tmp_path))
    names = [jobs.job_name(number, 1) for number in range(1, 101)]
    starts = [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=name)
        for number, name in enumerate(names, 1)
    ]
    for started, name in zip(starts, names, strict=True):
        jobs.create(started)
        aws.change(name, "InProgress", "Training")
        aws.report(name, accuracy=0.5, loss=1.0)
    aws.calls.clear()
    assert len(jobs.poll(starts)) == 100
    assert Counter(aws.calls) == {"search": 1, "batch_get_metrics": 2}
    aws.calls.clear()
    aws.unsearchable = set(names)
    assert len(jobs.poll(starts)) == 100
    assert Counter(aws.calls) == {
        "search": 1,
        "describe_training_job": 100,
        "batch_get_metrics": 2,
    }
