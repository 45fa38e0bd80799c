"""Jobs that Ray keeps PENDING after a stop, and jobs that it has forgotten."""

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
from cloudtune_ray.errors import RayError
from cloudtune_ray.training_client import RECORD_SECONDS, WAITING_SECONDS, RayJobs
from tests.cloudtune_ray.support import study_of

RUN = "3f6k2m9qxt"


class Cluster:
    """Stands for a client of a cluster with one job."""

    emulated = False
    status = "PENDING"
    is_new = False
    """Whether it has forgotten the job."""
    node: str | None = None
    record: list[str] | None = None
    """The lines of the record; None if the node does not answer."""

    def tail(self, _node: str, _file: str, _lines: int) -> list[str]:
        if self.record is None:
            raise RayError("timed out", retryable=True)
        return self.record

    def has_package(self, _name: str) -> bool:
        return True

    def create(self, _request: dict[str, Any]) -> None: ...

    def get(self, name: str) -> dict[str, Any] | None:
        return (
            None
            if self.is_new
            else {
                "submission_id": name,
                "status": self.status,
                "metadata": {"cloudtune_run": RUN},
                "driver_node_id": self.node,
            }
        )

    def stop(self, _name: str) -> None:
        pass


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def jobs(cluster: Cluster, tmp_path: Path) -> RayJobs:
    (tmp_path / "train.py").write_text("print(1)\n")
    planned = plan(study_of(), "ray", base=tmp_path, run_id=RUN)
    return RayJobs(cast("RayClient", cluster), planned, JobContext(tmp_path))


def first_start(jobs: RayJobs) -> Started:
    return Started(1, time.time(), {"lr": 0.01}, id=jobs.job_name(1, 1))


@pytest.mark.parametrize(("status", "after"), [("PENDING", "cancelled"), ("RUNNING", "running")])
def test_a_stopped_job_without_a_node_is_not_waited_for(
    cluster: Cluster, jobs: RayJobs, monkeypatch: pytest.MonkeyPatch, status: str, after: str
) -> None:
    clock, started = Clock(), first_start(jobs)
    monkeypatch.setattr(training_client, "time", clock)

    def state() -> str:
        (job,) = jobs.poll([started]).values()
        return job.state

    clock.now += 100
    assert state() == "waiting"
    jobs.stop(str(started.id))
    assert state() == "waiting"  # it may be about to start
    cluster.status = status
    clock.now += WAITING_SECONDS
    assert state() == after


@pytest.mark.parametrize("polled", [True, False])
def test_a_job_that_a_new_head_does_not_know_is_lost(
    cluster: Cluster, jobs: RayJobs, polled: bool
) -> None:
    started = first_start(jobs)
    jobs.create(started)
    if polled:
        jobs.poll([started])
    cluster.is_new = True
    (job,) = jobs.poll([started]).values()
    assert (job.over, job.lost, "head was restarted" in job.reason) == (True, True, True)


def test_a_job_that_was_never_created_is_omitted(cluster: Cluster, jobs: RayJobs) -> None:
    cluster.is_new = True
    assert not jobs.poll([first_start(jobs)])


def test_a_job_with_an_invalid_record_fails_and_is_stopped(
    cluster: Cluster, jobs: RayJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    cluster.status, started = "RUNNING", first_start(jobs)
    cluster.node, cluster.record = "n1", ['{"start": 5.0, "host": "n1"}', '{"a": 1}']
    monkeypatch.setattr(cluster, "stop", stopped.append)
    jobs.create(started)
    job = jobs.poll([started])[str(started.id)]
    assert (job.state, job.reason) == ("failed", "invalid report '{\"a\": 1}'")
    assert stopped == [started.id]


def test_a_record_that_cannot_be_read_fails_its_job_and_delays_no_other(
    cluster: Cluster, jobs: RayJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, started = Clock(), first_start(jobs)
    monkeypatch.setattr(training_client, "time", clock)
    cluster.status, cluster.node, cluster.record = "SUCCEEDED", "n1", None
    jobs.create(started)
    assert jobs.poll([started])[str(started.id)].state == "running"
    clock.now += RECORD_SECONDS
    job = jobs.poll([started])[str(started.id)]
    assert job.state == "failed"
    assert job.reason == "its record cannot be read: ray: timed out"
