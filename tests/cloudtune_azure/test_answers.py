"""What the clients make of answers that the emulator does not give, from HTTP on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cloudtune.provider.models import JobRef, JobStatus, TrainingJob
from cloudtune.study.schema import Mode
from cloudtune_azure.client import AzureClient
from cloudtune_azure.console import read_log
from cloudtune_azure.errors import AzureError
from cloudtune_azure.http import AzureHttp, Connection
from cloudtune_azure.settings import workspace_id
from cloudtune_azure.training_client import AzureJobs
from cloudtune_azure.tuning_client import TuningClient
from tests.cloudtune_azure.played import Played
from tests.in_process import KEY, URL
from tests.played_service import starting
from tests.stubbed_service import Refusal, StubbedService

GONE = Refusal("404 Not Found", {"error": {"code": "UserError", "message": "not found"}})
STARTED, ENDED = "2026-11-30T10:01:00.1234567+00:00", "2026-11-30T10:05:00.1234567+00:00"
DURATION = 240.0
CHILDREN, DETAILS, SWEEP = "/runs/sweep/children", "/details", "/jobs/sweep"


class Service(StubbedService):
    """A sweep, ``sweep``, with one trial, and a command job, ``job-1``; both have completed."""

    def __init__(
        self, name: str, folder: Path, patch: pytest.MonkeyPatch, *, mlflow: str = "v1.0"
    ) -> None:
        super().__init__(name, folder, patch)
        workspace = workspace_id(self.plan.facts.data)
        self.tracking = f"azureml://{URL.partition('://')[2]}/mlflow/{mlflow}{workspace}"
        self.client = AzureClient(AzureHttp(Connection(URL, KEY)), workspace)
        self.sweeps = TuningClient(self.client, self.plan, self.context)
        self.jobs = AzureJobs(self.client, self.plan, self.context, lambda: None)
        self.child: dict[str, Any] = {
            "runId": "sweep_0",
            "status": "Completed",
            "startTimeUtc": STARTED,
            "endTimeUtc": ENDED,
        }
        self.answers = self.stub.answers
        self.measured({"value": 0.5})
        self.answers |= {
            CHILDREN: {"value": [self.child]},
            DETAILS: {},
            SWEEP: {
                "name": "sweep",
                "properties": {
                    "jobType": "Sweep",
                    "status": "Completed",
                    "tags": {"_aml_system_sweep_0": json.dumps({"lr": 0.5, "kind": "1e3"})},
                },
            },
        }
        self.is_in("Completed")
        self.answers["/environments/none/versions"] = {}
        self.answers["/workspaces/work"] = {"properties": {"mlFlowTrackingUri": self.tracking}}

    def measured(self, *values: Mapping[str, Any], **more: Any) -> None:
        """Let MLflow have these values of the objective."""
        metrics = [{"key": "accuracy", "timestamp": 1_000, "step": 1, **each} for each in values]
        self.answers["runs/get"] = {"run": {"data": {"metrics": metrics[-1:], **more}}}
        self.answers["get-history"] = {"metrics": metrics}

    def is_in(self, state: str) -> None:
        """Let the command job be in a state."""
        services = {"Tracking": {"endpoint": f"{self.tracking}?"}}
        properties = {"jobType": "Command", "status": state, "services": services}
        self.answers["/jobs/job-1"] = {"name": "job-1", "properties": properties}

    def status(self) -> JobStatus:
        return self.sweeps.status(JobRef("azure", "sweep"))

    def job(self) -> TrainingJob:
        return self.jobs.poll([self.started])["job-1"]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service("azure-tuning", tmp_path, monkeypatch)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service("azure-command", tmp_path, monkeypatch)


@pytest.mark.parametrize("mlflow", ["v1.0", "v2.0"])
def test_a_tracking_address_of_any_version(
    mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service("azure-tuning", tmp_path, monkeypatch, mlflow=mlflow)
    (trial,) = service.status().trials
    assert (trial.state, trial.measurements[0].metrics) == ("completed", {"accuracy": 0.5})
    command = Service("azure-command", tmp_path, monkeypatch, mlflow=mlflow).job()
    assert command.measurements[0].metrics == {"accuracy": 0.5}


@pytest.mark.parametrize("odd", [{"value": None}, {}, {"value": "none"}, {"value": [1]}])
def test_a_value_that_is_no_number_ends_no_run(sweep: Service, odd: Mapping[str, Any]) -> None:
    sweep.measured({"value": 0.5}, {"timestamp": 2_000, "step": 2, **odd})
    (trial,) = sweep.status().trials
    assert [each.metrics["accuracy"] for each in trial.measurements] == [
        0.5,
        pytest.approx(math.nan, nan_ok=True),
    ]


def test_a_parameter_without_a_value_ends_no_run(sweep: Service) -> None:
    params = [{"key": "kind", "value": None}, {"key": "x"}, {"key": "lr", "value": 0}]
    sweep.measured({"value": 0.5}, params=params)
    sweep.answers[SWEEP]["properties"]["tags"] = {"_aml_system_sweep_0": "{}"}
    (trial,) = sweep.status().trials
    assert (trial.state, trial.parameters) == ("completed", {"lr": "0"})


def test_two_values_with_one_time_and_step_are_both_read(sweep: Service) -> None:
    sweep.measured({"value": 0.4}, {"value": 0.5})
    (trial,) = sweep.status().trials
    assert [each.metrics for each in trial.measurements] == [{"accuracy": 0.5}]


def test_a_sweep_that_is_missing_for_a_moment_is_not_lost(sweep: Service) -> None:
    there, sweep.answers[SWEEP] = sweep.answers[SWEEP], GONE
    for _ in range(3):
        with pytest.raises(AzureError, match="no longer exists") as missing:
            sweep.status()
        assert missing.value.retryable
    sweep.answers[SWEEP] = there
    assert sweep.status().state == "completed"
    sweep.answers[SWEEP] = GONE
    for _ in range(3):
        with pytest.raises(AzureError):
            sweep.status()
    assert sweep.status().state == "failed"


def test_a_new_job_may_be_missing_for_some_time(
    command: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.jobs.hidden_seconds == 0
    monkeypatch.setattr(AzureClient, "emulated", False)
    assert AzureJobs(command.client, command.plan, command.context, print).hidden_seconds == 30


def test_a_child_that_the_list_lacks_is_read_when_the_sweep_has_ended(sweep: Service) -> None:
    sweep.answers[DETAILS] = sweep.child
    sweep.answers[CHILDREN] = {"value": []}
    (trial,) = sweep.status().trials
    assert (trial.state, trial.measurements[0].metrics) == ("completed", {"accuracy": 0.5})


@pytest.mark.parametrize(
    ("state", "stopping"), [("Running", False), ("Finalizing", False), ("CancelRequested", True)]
)
def test_a_job_that_stores_its_outputs_is_not_stopping(
    command: Service, state: str, stopping: bool
) -> None:
    command.is_in(state)
    job = command.job()
    assert (job.state, job.stopping) == ("running", stopping)


def test_a_job_without_times_has_those_of_run_history(command: Service) -> None:
    command.answers[DETAILS] = {"endTimeUtc": ENDED, "startTimeUtc": STARTED}
    job = command.job()
    assert job.started
    assert job.ended
    assert job.ended - job.started == pytest.approx(DURATION)


def test_a_failed_job_that_run_history_does_not_know_has_no_reason(command: Service) -> None:
    command.is_in("Failed")
    command.answers[DETAILS] = GONE
    job = command.job()
    assert (job.state, job.reason, job.lost) == ("failed", "", False)


@pytest.mark.parametrize(
    ("files", "read"),
    [
        (["user_logs/std_log.txt"], 0),
        (["user_logs/std_log_process_01.txt", "user_logs/std_log_process_00.txt"], 1),
        (["user_logs/std_log_process_0.txt"], 0),
        (["azureml-logs/75_job_post.txt", "azureml-logs/70_driver_log.txt"], 1),
        (["azureml-logs/70_driver_log_1.txt", "azureml-logs/70_driver_log_0.txt"], 1),
        (["azureml-logs/70_driver_log.txt", "user_logs/std_log.txt"], 1),
    ],
)
def test_the_log_of_the_first_process_is_read(
    command: Service, files: list[str], read: int
) -> None:
    command.answers[DETAILS] = {"logFiles": {name: f"{URL}/log{n}" for n, name in enumerate(files)}}
    command.stub.answers = {**{f"/log{n}": f"of {n}" for n in range(len(files))}, **command.answers}
    assert list(read_log(command.client, "job-1")) == [f'"of {read}"']


def test_a_job_without_a_log(command: Service) -> None:
    command.answers[DETAILS] = {"logFiles": {"system_logs/x.txt": f"{URL}/log"}}
    with pytest.raises(AzureError, match="has no log yet"):
        list(read_log(command.client, "job-1"))


def test_pages_that_repeat_are_an_error(sweep: Service) -> None:
    sweep.answers[CHILDREN] = {"value": [], "nextLink": f"{URL}{CHILDREN}"}
    with pytest.raises(AzureError, match="next one"):
        sweep.status()


def test_a_sweep_that_run_history_does_not_know_yet_goes_on(sweep: Service) -> None:
    sweep.answers[CHILDREN] = GONE
    sweep.answers[SWEEP]["properties"]["status"] = "Running"
    status = sweep.status()
    assert (status.state, [each.state for each in status.trials]) == ("running", ["waiting"])


@pytest.mark.parametrize("error", ["boom", {"error": "boom"}, {"error": {"message": 5}}, []])
def test_an_error_of_any_form_ends_no_run(command: Service, error: object) -> None:
    command.is_in("Failed")
    command.answers[DETAILS] = {"error": error}
    assert command.job().state == "failed"


@pytest.mark.parametrize(
    ("environment", "found"),
    [("azureml:sk:5", "azureml:sk:5"), ("azureml:sk@latest", "/environments/sk/versions/7")],
)
def test_the_newest_version_of_an_environment_is_sent(
    command: Service, environment: str, found: str
) -> None:
    command.stub.answers = {
        "/environments/sk/versions": {"value": [{"id": found}]},
        **command.answers,
    }
    assert command.client.environment_id(environment) == found
    command.stub.answers["/environments/sk/versions"] = {"value": []}
    assert command.client.environment_id(environment) == found  # read once
    with pytest.raises(AzureError, match="no version of the environment none"):
        command.client.environment_id("azureml:none@latest")


class Labelled(Played):
    SETTINGS: ClassVar = {**Played.SETTINGS, "environment": "azureml:sk@latest"}


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_a_job_has_the_newest_version_of_its_environment(
    mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with starting(Labelled, tmp_path, monkeypatch) as start:
        service = start(mode=mode)
        if mode == "driven":
            service.start(1)
            service.wait_for("1")
            (sent,) = service.requests()
        else:
            sweeps = TuningClient(service.client, service.plan, service.context)
            name = sweeps.submit(service.plan.request).id
            answer: Any = service.client.get_job(name)
            sent = answer["properties"]["trial"]
    assert sent["environmentId"].endswith("/environments/sk/versions/1")
