"""The number of calls of a poll of a hundred custom jobs, as in docs/how-it-works.md."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune_vertex.training_client import VertexJobs
from tests.cloudtune_vertex import fake_vertex as fake


def test_a_poll_of_a_hundred_jobs_takes_few_calls(tmp_path: Path) -> None:
    google = fake.FakeGoogle()
    jobs = VertexJobs(google, fake.planned("driven"), JobContext(tmp_path))
    names = [jobs.job_name(number, 1) for number in range(1, 101)]
    starts = [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=name)
        for number, name in enumerate(names, 1)
    ]
    for started, name in zip(starts, names, strict=True):
        jobs.create(started)
        google.change(name, "RUNNING")
        google.report(name, 1, accuracy=0.5)
    google.calls.clear()
    assert len(jobs.poll(starts)) == 100
    assert Counter(google.calls) == {"list_custom_jobs": 1, "list_objects": 1, "read": 100}
    google.calls.clear()
    jobs.poll(starts)
    assert Counter(google.calls) == {"list_custom_jobs": 1, "list_objects": 1}
