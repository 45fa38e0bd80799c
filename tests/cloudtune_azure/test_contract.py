"""The launcher's contract against the emulator's MLflow, with refused and lost calls."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudtune_azure import launcher_contract
from cloudtune_azure.emulator import tracking
from cloudtune_azure.emulator.state import Job
from cloudtune_azure.launcher_contract import AzureContract
from cloudtune_azure.metrics import Curve

ENV = {
    "MLFLOW_TRACKING_URI": "azureml://westus.api.azureml.ms/mlflow/v1.0/subscriptions/s?",
    "MLFLOW_RUN_ID": "job",
    "MLFLOW_TRACKING_TOKEN": "token",
}
BASE = "https://westus.api.azureml.ms/mlflow/v1.0/subscriptions/s/api/2.0/mlflow/"


class Service:
    """MLflow's calls of one run."""

    def __init__(self) -> None:
        self.job = Job("job", "/w", {}, Path(), Path())
        self.faults: list[Callable[[], None]] = []
        """What happens after a call is carried out, in their order."""
        self.refuses: int = 0

    def open(self, request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert request.full_url.startswith(BASE)
        assert request.get_header("Authorization") == "Bearer token"
        if self.refuses:
            raise urllib.error.HTTPError(request.full_url, self.refuses, "", {}, io.BytesIO())  # type: ignore[arg-type]
        call = request.full_url.removeprefix(BASE)
        if call.startswith("runs/get?run_id=job"):
            return io.BytesIO(json.dumps(tracking.get_run(self.job)).encode())
        assert call == "runs/log-batch"
        assert isinstance(request.data, bytes)
        answer = tracking.log_batch(self.job, json.loads(request.data))
        if self.faults:
            self.faults.pop(0)()
        return io.BytesIO(json.dumps(answer).encode())

    def mlflow(self, _tracking: str, call: str, **query: str) -> Any:
        if call == "runs/get":
            return tracking.get_run(self.job)
        return tracking.get_history(self.job, query["metric_key"])


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(urllib.request, "urlopen", made.open)
    monkeypatch.setattr(launcher_contract, "CLOSING", 0.3)
    return made


def measured(service: Service, *, is_over: bool = True, curve: Curve | None = None) -> list[Any]:
    read = curve or Curve()
    read.read(service, "", "job", is_over=is_over)  # type: ignore[arg-type]
    return [(each.step, dict(each.metrics)) for each in read.measurements]


def contract(**env: str) -> AzureContract:
    return AzureContract({}, {}, {**ENV, **env})


def report(made: AzureContract, at: float = 5.0, **metrics: float) -> str:
    return made.publish({"metrics": metrics, "time": at})


def lose() -> None:
    raise ConnectionResetError


def test_reports_of_one_time_stay_apart_and_lost_answers_add_nothing(service: Service) -> None:
    service.faults = [lose, lose]
    made = contract()
    for value in (1.0, 2.0, 2.0):
        report(made, acc=value, loss=value)
    made.close()
    assert measured(service) == [
        (n, {"acc": v, "loss": v}) for n, v in ((1, 1.0), (2, 2.0), (3, 2.0))
    ]


def test_the_values_of_a_report_stay_together(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, curve = contract(), Curve()
    report(made, acc=1.0, loss=1.0)
    made.close()
    second = {"value": 2.0, "timestamp": 5009, "step": 2}
    service.job.metrics.append({**second, "key": "acc"})
    latest = tracking.get_run(service.job)
    service.job.metrics.append({**second, "key": "loss"})  # between two calls of a poll
    service.job.metrics.append({"key": "loss", "value": 3.0, "timestamp": 6000, "step": 3})
    both = [(1, {"acc": 1.0, "loss": 1.0}), (2, {"acc": 2.0, "loss": 2.0})]

    def get_run(_job: Job) -> Any:
        return latest

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "get_run", get_run)
        assert measured(service, is_over=False, curve=curve) == both
    assert measured(service, curve=curve) == [*both, (3, {"loss": 3.0})]


@pytest.mark.parametrize("continues", [True, False])
def test_a_job_that_starts_again_counts_on_only_from_a_checkpoint(
    service: Service, continues: bool
) -> None:
    first = contract()
    report(first, at=9.0, acc=1.0)
    report(first, at=9.0, acc=2.0)
    first.close()
    second = contract()
    second.continues = continues
    report(second, at=8.0, acc=3.0)  # another machine, whose clock is behind
    second.close()
    assert [step for step, _ in measured(service)] == [1, 2, 3 if continues else 1]


@pytest.mark.parametrize(
    ("status", "is_lost"), [(400, True), (503, False), (401, False), (429, False)]
)
def test_what_is_refused_for_good_blocks_nothing(
    service: Service, status: int, is_lost: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    made = contract()
    report(made, acc=1.0)
    service.refuses = status
    made.tick()
    service.refuses = 0
    report(made, acc=2.0)
    made.close()
    assert measured(service)[-1] == (2, {"acc": 2.0})
    assert (len(measured(service)) == 1) is is_lost
    assert str(status) in capsys.readouterr().err


def test_the_end_is_not_delayed_for_ever(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.refuses = 503
    made = contract()
    report(made, acc=1.0)
    made.close()
    assert "could not be sent" in capsys.readouterr().err


def test_the_failure_and_the_machine_are_read(service: Service) -> None:
    made = contract()
    made.report_failure("it broke")
    assert "skipped" in report(made, acc=float("nan"))
    made.close()
    curve = Curve()
    assert measured(service, curve=curve) == []
    assert curve.failure == "it broke"
    assert curve.machine
    assert curve.started
