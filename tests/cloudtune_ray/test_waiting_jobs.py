"""A stop of a job for which no node is free: Ray keeps it PENDING."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune_ray import training_client
from cloudtune_ray.client import RayClient
from cloudtune_ray.training_client import WAITING_SECONDS, RayJobs
from tests.cloudtune_ray.support import study_of

RUN = "3f6k2m9qxt"


class Cluster:
    """Stands for a client of a cluster with one job."""

    emulated = False
    status = "PENDING"

    def get(self, name: str) -> dict[str, Any]:
        return {
            "submission_id": name,
            "status": self.status,
            "metadata": {"cloudtune_run": RUN},
        }

    def stop(self, _name: str) -> None:
        pass


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.mark.parametrize(("status", "after"), [("PENDING", "cancelled"), ("RUNNING", "running")])
def test_a_stopped_job_without_a_node_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, after: str
) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    clock, cluster = Clock(), Cluster()
    monkeypatch.setattr(training_client, "time", clock)
    planned = plan(study_of(), "ray", base=tmp_path, run_id=RUN)
    jobs = RayJobs(cast("RayClient", cluster), planned, JobContext(tmp_path))
    name = jobs.job_name(1, 1)
    started = Started(1, time.time(), {"lr": 0.01}, id=name)
    clock.now += 100
    assert jobs.poll([started])[name].state == "pending"
    jobs.stop(name)
    assert jobs.poll([started])[name].state == "pending"  # it may be about to start
    cluster.status = status
    clock.now += WAITING_SECONDS
    assert jobs.poll([started])[name].state == after
