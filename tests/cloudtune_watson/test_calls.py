"""The number of calls of a poll of a hundred trials, as docs/side-by-side.md states it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cloudtune.provider.models import JobContext
from cloudtune_watson.wmla.tuning_client import TuningClient
from tests.cloudtune_watson import fake_watson as fake


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
