"""How many calls a look at a hundred training jobs takes: docs/how-it-works.md states it."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cloudtune.events import Started
from cloudtune.provider import Place
from cloudtune_sagemaker.training import SageMakerJobs


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake: Any = _beside("fake_aws")


def test_a_look_at_a_hundred_jobs(tmp_path: Path) -> None:
    aws = fake.FakeAws()
    jobs = SageMakerJobs(aws, fake.planned("driven"), Place(tmp_path))
    starts = [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=jobs.name_of(number, 1))
        for number in range(1, 101)
    ]
    for started in starts:
        jobs.create(started)
        aws.change(started.id, "InProgress", "Training")
        aws.report(started.id, accuracy=0.5, loss=1.0)
    aws.calls.clear()
    assert len(jobs.look(starts)) == 100
    assert Counter(aws.calls) == {"search": 1, "batch_get_metrics": 2}
    aws.calls.clear()
    aws.unsearchable = {started.id for started in starts}
    assert len(jobs.look(starts)) == 100
    assert Counter(aws.calls) == {
        "search": 1,
        "describe_training_job": 100,
        "batch_get_metrics": 2,
    }
