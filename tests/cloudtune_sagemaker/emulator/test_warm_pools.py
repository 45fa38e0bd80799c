"""Warm pools: whose instances the next training job reuses, and until when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

WAITS = "import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.05)\n"
MACHINE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}


def train(emulator: Emulator, seconds: int = 600, code: str = "print('x')", **changes: Any) -> str:
    """Start a job that keeps its instances."""
    config = {**MACHINE, **changes.pop("config", {})}
    if seconds:
        config["KeepAlivePeriodInSeconds"] = seconds
    return emulator.train(code, ResourceConfig=config, **changes)


def pool(emulator: Emulator, name: str) -> dict[str, Any]:
    """Return the status of the pool of a job."""
    status: dict[str, Any] = emulator.trained(name).get("WarmPoolStatus", {})
    return status


def update(emulator: Emulator, name: str, seconds: int) -> None:
    emulator.sagemaker.update_training_job(
        TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": seconds}
    )


@pytest.fixture(autouse=True)
def _no_pools(emulator: Emulator) -> Any:
    yield
    jobs = emulator.sagemaker.list_training_jobs(WarmPoolStatusEquals="Available", MaxResults=100)
    for job in jobs["TrainingJobSummaries"]:
        update(emulator, job["TrainingJobName"], 0)


def test_a_matching_job_reuses_the_instances(emulator: Emulator, tmp_path: Path) -> None:
    first = train(emulator)
    assert pool(emulator, first) == {"Status": "Available"}
    go = tmp_path / "go"
    second = train(emulator, code=WAITS.format(go=str(go)), static={"depth": "2"})
    emulator.until(
        lambda: emulator.sagemaker.describe_training_job(TrainingJobName=second),
        lambda job: job.get("WarmPoolStatus", {}).get("Status") == "InUse",
    )
    go.touch()
    assert pool(emulator, second) == {"Status": "Available"}
    status = pool(emulator, first)
    assert (status["Status"], status["ReusedByJob"]) == ("Reused", second)
    assert status["ResourceRetainedBillableTimeInSeconds"] >= 1
    rows = emulator.sagemaker.list_training_jobs(WarmPoolStatusEquals="Reused")
    assert first in [row["TrainingJobName"] for row in rows["TrainingJobSummaries"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"InstanceType": "ml.m5.xlarge"}},
        {"config": {"VolumeSizeInGB": 11}},
        {"RoleArn": "arn:aws:iam::123456789012:role/other"},
        {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
        {"EnableNetworkIsolation": True},
        {"EnableInterContainerTrafficEncryption": True},
    ],
)
def test_another_job_does_not(emulator: Emulator, changes: dict[str, Any]) -> None:
    first = train(emulator)
    emulator.trained(first)
    emulator.trained(train(emulator, **changes))
    assert pool(emulator, first) == {"Status": "Available"}


def test_a_job_without_a_period_reuses_them_and_keeps_none(emulator: Emulator) -> None:
    first = train(emulator)
    emulator.trained(first)
    second = train(emulator, 0)
    assert pool(emulator, second)["Status"] == "Terminated"
    assert pool(emulator, first)["ReusedByJob"] == second
    assert pool(emulator, train(emulator, 0)) == {}


def test_idle_instances_are_terminated_after_the_period(emulator: Emulator) -> None:
    name = train(emulator, 1)
    emulator.trained(name)
    time.sleep(1.1)
    expected = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 1}
    assert pool(emulator, name) == expected
    emulator.trained(train(emulator))
    assert pool(emulator, name) == expected


def test_the_period_of_available_instances_can_be_changed(
    emulator: Emulator, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    name = train(emulator, code=WAITS.format(go=str(go)))
    with pytest.raises(ClientError, match="warm pool status of the training job is Available"):
        update(emulator, name, 60)
    go.touch()
    emulator.trained(name)
    update(emulator, name, 60)
    assert emulator.trained(name)["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 60
    update(emulator, name, 0)
    assert pool(emulator, name)["Status"] == "Terminated"


@pytest.mark.parametrize(("code", "kept"), [("raise SystemExit(1)", True), (None, False)])
def test_instances_of_a_failed_job_are_kept_unless_the_service_failed(
    emulator: Emulator, start_emulator: Any, code: str | None, kept: bool
) -> None:
    if code is None:
        emulator = start_emulator(faults="faults: [{operation: trial, call: 1, effect: lose}]")
        code = "import time\nprint('loss=1;', flush=True)\ntime.sleep(600)"
    name = train(emulator, code=code)
    assert emulator.trained(name)["TrainingJobStatus"] == "Failed"
    assert pool(emulator, name)["Status"] == ("Available" if kept else "Terminated")


def test_spot_instances_are_not_kept(emulator: Emulator) -> None:
    condition = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}
    with pytest.raises(ClientError, match="cannot be used with EnableManagedSpotTraining"):
        train(emulator, EnableManagedSpotTraining=True, StoppingCondition=condition)
