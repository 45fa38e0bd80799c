"""The number of calls of a poll of a hundred trials, as docs/side-by-side.md states it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune_watson.wml.training_client import WatsonJobs
from cloudtune_watson.wmla.tuning_client import TuningClient
from tests.cloudtune_watson import fake_watson as fake

MEASURED = [{"steps": 1, "accuracy": 0.5}]


def a_hundred(jobs: WatsonJobs) -> list[Started]:
    return [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=jobs.job_name(number, 1))
        for number in range(1, 101)
    ]


@pytest.mark.parametrize(
    ("told_by", "reads"), [("status", 0), ("own_folder", 100), ("folder", 200), ("nothing", 200)]
)
def test_calls_of_a_poll_of_a_hundred_trainings(tmp_path: Path, told_by: str, reads: int) -> None:
    ibm = fake.FakeWmlClient()
    jobs = WatsonJobs(ibm, fake.planned("driven"), JobContext(tmp_path), "definition-0")
    starts = a_hundred(jobs)
    for started in starts:
        jobs.create(started)
        assert started.id is not None
        if told_by == "status":
            metrics = [{"iteration": 1, "ml_metrics": {"accuracy": 0.5}}]
            ibm.change(started.id, "running", metrics=metrics)
        elif told_by != "nothing":
            own = f"/{ibm.named(started.id)['metadata']['id']}" if told_by == "own_folder" else ""
            ibm.write(f"{started.id}{own}", "val_dict_list.json", MEASURED)
    for _ in range(2):  # the second look takes as many as the first
        ibm.of.calls.clear()
        seen = jobs.poll(starts)
        measured = 0 if told_by == "nothing" else 100
        assert sum(len(job.measurements) for job in seen.values()) == measured
        assert Counter(ibm.of.calls) == Counter(tagged=1, read=reads)


def test_unlisted_trainings_are_read_individually(tmp_path: Path) -> None:
    ibm = fake.FakeWmlClient()
    jobs = WatsonJobs(ibm, fake.planned("driven"), JobContext(tmp_path), "definition-0")
    starts = a_hundred(jobs)
    for started in starts:
        jobs.create(started)
        assert started.id is not None
        ibm.unlisted.add(started.id)
    ibm.of.calls.clear()
    assert len(jobs.poll(starts)) == 100
    assert Counter(ibm.of.calls) == Counter(tagged=1, get=100, read=200)


def test_calls_of_a_poll_of_a_search_with_a_hundred_trials(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print(1)\n", "utf-8")
    ibm = fake.FakeWmlaClient()
    plan = fake.planned("managed")
    client = TuningClient(ibm, plan, JobContext(tmp_path))
    job = client.submit(plan.request)
    for number in range(100):
        ibm.experiment(number, "RUNNING")
    ibm.of.calls.clear()
    assert len(client.status(job).trials) == 100
    assert Counter(ibm.of.calls) == Counter(get=1)
    for number in range(100):
        ibm.experiment(number, "FAILED")
    ibm.of.calls.clear()
    client.status(job)
    client.status(job)
    assert Counter(ibm.of.calls) == Counter(get=2, log=100)
