"""The client, the account checks and the blob storage on an emulator in the tests' process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulator_kit import Delays
from cloudtune.errors import ProviderError
from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune_azure.account import check_account
from cloudtune_azure.client import AzureClient
from cloudtune_azure.emulator.app import AzureApp
from cloudtune_azure.errors import AzureError, service_error
from cloudtune_azure.http import AzureHttp, Connection
from cloudtune_azure.quota import TOTALS
from cloudtune_azure.settings import ENVIRONMENT
from cloudtune_azure.storage import BlobStorage, datastore_address
from cloudtune_azure.uploads import upload
from tests.account_checks import by_id, only
from tests.cloudtune_azure.support import study_of
from tests.in_process import KEY, URL, Faults, InProcess

SETTINGS = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
)


class Service:
    """A client and what its emulator does wrong."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.faults = Faults()
        self.app = AzureApp(folder, Delays(100_000), self.faults, URL, KEY)
        server = InProcess(patch)
        server.app = self.app
        server.serve_requests()
        self.client = AzureClient(AzureHttp(Connection(URL, KEY)), SETTINGS)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service(tmp_path / "emulator", monkeypatch)
    yield made
    made.app.close()


@pytest.fixture
def as_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the client take the emulator for a live workspace."""
    monkeypatch.setattr(AzureClient, "emulated", False)


def job(command: str = "exec sleep 600", **tags: str) -> dict[str, Any]:
    properties = {"jobType": "Command", "command": command, "tags": tags}
    return {"properties": {**properties, "environmentId": "azureml:e:1"}}


def test_a_second_creation_starts_no_second_job(service: Service) -> None:
    client = service.client
    service.faults.next["PutJob"] = ["lose_response"]
    client.put_job("one", job(first=""))  # sent twice
    client.put_job("one", job("exit 1", second=""))
    client.put_job("two", job(second=""))
    assert {each["name"] for each in client.list_jobs("second")} == {"one", "two"}
    assert client.list_jobs("first") == []
    found = client.get_job("one")
    assert found
    assert found["properties"]["command"] == "exec sleep 600"


def test_what_is_not_there(service: Service) -> None:
    client = service.client
    assert client.get_job("none") is None
    assert not client.has_code("none")
    client.cancel_job("none")
    client.put_job("one", job())
    client.cancel_job("one")
    client.cancel_job("one")


def test_a_list_has_no_archived_jobs_unless_they_are_wanted(service: Service) -> None:
    client = service.client
    for name in ("kept", "archived"):
        client.put_job(name, job(t=""))
    client.put_job("archived", {"properties": {"isArchived": True}})
    url = f"{URL}{SETTINGS}/jobs"
    for view, names in (
        (None, {"kept"}),
        ("ArchivedOnly", {"archived"}),
        ("All", {"kept", "archived"}),
    ):
        found = client.http.json("GET", url, query={"listViewType": view} if view else {})
        assert {each["name"] for each in found["value"]} == names


SWEEP: dict[str, Any] = {
    "jobType": "Sweep",
    "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
    "objective": {"goal": "maximize", "primaryMetric": "acc"},
    "searchSpace": {"x": ["uniform", [0, 1]]},
    "trial": {"command": "exec sleep 600"},
}
WRONG_JOBS: list[dict[str, Any]] = [
    {"command": None},
    {"tags": ["x"]},
    {"properties": "x"},
    {"limits": "x"},
    {"environmentVariables": "x"},
    {"inputs": ["x"]},
    {"outputs": {"x": None}},
    {**SWEEP, "trial": "x"},
    {**SWEEP, "earlyTermination": "x"},
    {**SWEEP, "limits": {"maxTotalTrials": -1}},
    {**SWEEP, "limits": {"timeout": "5 minutes"}},
    {**SWEEP, "searchSpace": {"x": ["loguniform", [0, 5000]]}},
]


@pytest.mark.parametrize("over", WRONG_JOBS)
def test_a_job_with_a_field_of_another_type_is_refused(
    service: Service, over: dict[str, Any]
) -> None:
    with pytest.raises(AzureError, match="invalid") as refused:
        service.client.put_job("one", {"properties": {**job()["properties"], **over}})
    assert refused.value.code == 400
    assert service.client.list_jobs("") == []


def test_a_batch_of_mlflow(service: Service) -> None:
    service.client.put_job("one", job())
    url = f"{URL}/mlflow/v1.0{SETTINGS}/api/2.0/mlflow/runs"
    for wrong in (
        {"metrics": [{"key": "a"}]},
        {"metrics": [{"key": "a", "value": "b"}]},
        {"metrics": [{"key": "a", "value": 1, "timestamp": "b"}]},
        {"tags": [{"key": "a"}]},
    ):
        with pytest.raises(AzureError, match="400"):
            service.client.http.json("POST", f"{url}/log-batch", content={"run_id": "one", **wrong})
    batch = {
        "run_id": "one",
        "metrics": [{"key": "loss", "value": "NaN", "timestamp": "5", "step": "1"}],
        "params": [{"key": "lr", "value": "0.5"}],
    }
    service.client.http.json("POST", f"{url}/log-batch", content=batch)
    data = service.client.http.json("GET", f"{url}/get", query={"run_id": "one"})["run"]["data"]
    assert data["params"] == [{"key": "lr", "value": "0.5"}]
    assert data["metrics"] == [{"key": "loss", "value": "NaN", "timestamp": 5, "step": 1}]


@pytest.mark.parametrize("command", ["${{inputs.x}}", "${{ outputs.x }}"])
def test_a_command_with_an_unknown_binding_is_refused(service: Service, command: str) -> None:
    with pytest.raises(AzureError, match="does not exist") as refused:
        service.client.put_job("one", job(command))
    assert not refused.value.retryable


def test_blobs_are_written_listed_read_and_deleted(service: Service, tmp_path: Path) -> None:
    storage = BlobStorage(service.client)
    folder = datastore_address("own", "a b", "")
    (tmp_path / "file").write_bytes(bytes(range(256)) * 20)
    storage.upload({f"{folder}x/ü 1": tmp_path / "file"})
    storage.write(f"{folder}empty", b"")
    assert storage.list(folder) == {f"{folder}x/ü 1": 5120, f"{folder}empty": 0}
    assert storage.exists(f"{folder}empty")
    assert not storage.exists(f"{folder}x")
    assert b"".join(storage.read(f"{folder}x/ü 1", 5000)) == (bytes(range(256)) * 20)[5000:]
    storage.delete([*storage.list(folder), f"{folder}none"])
    assert storage.list(folder) == {}


@pytest.mark.parametrize("name", ["../x", "a//b", "a/../../x"])
def test_a_blob_is_nowhere_else(service: Service, name: str) -> None:
    with pytest.raises(AzureError):
        BlobStorage(service.client).write(datastore_address("own", name), b"x")


@pytest.mark.parametrize(
    ("denied", "id_", "fix"),
    [
        ("", "", ""),
        ("GetWorkspace", "workspace", "workspaces/read"),
        ("GetCompute", "compute", "computes/read"),
        ("ListUsages", "quota", "usages/read"),
        ("ListSizes", "quota", "vmSizes/read"),
        ("HeadBlob", "datastore", "Contributor"),
    ],
)
def test_a_check_without_its_right_is_unknown_and_ends_no_other(
    service: Service, tmp_path: Path, denied: str, id_: str, fix: str
) -> None:
    service.faults.always[denied] = "deny"
    (tmp_path / "train.py").touch()
    made = plan(study_of(), "azure", base=tmp_path, emulated=True)
    checks = list(check_account(service.client, made))
    assert len(checks) == (3 if denied in {"GetWorkspace", "GetCompute"} else 4)
    wrong = [check for check in checks if check.severity != "ok"]
    assert all(check.severity == "unknown" for check in wrong)
    assert [check.id for check in wrong] == [id_] * bool(id_)
    assert all(fix in check.fix for check in wrong)


@pytest.mark.parametrize(
    ("parallel", "settings", "found"),
    [
        (
            100,
            {},
            "ok: STANDARD_DS2_V2 has 2 vCPUs, and costs 0.0 USD an hour by "
            "Azure's list; 200 of 200 vCPUs are free",
        ),
        (101, {}, "warning: 101 trials at a time need 202 vCPUs; Total Cluster Dedicated"),
        (
            1,
            {"compute": None, "instance_type": "Standard_M1"},
            "warning: emulated has no machine Standard_M1",
        ),
        (
            999,
            {"compute": None, "instance_type": "standard_ds2_V2", "spot": True},
            "ok: standard_ds2_V2 has 2 vCPUs",  # the emulator has no quota of spare capacity
        ),
    ],
)
@pytest.mark.usefixtures("as_live")
def test_the_quota_of_the_region(
    service: Service,
    tmp_path: Path,
    parallel: int,
    settings: dict[str, Any],
    found: str,
) -> None:
    (tmp_path / "train.py").touch()
    limits = {"limits": {"max_trials": 1000, "parallel_trials": parallel}}
    made = plan(study_of(limits, **settings), "azure", base=tmp_path, emulated=True)
    (check,) = by_id(list(check_account(service.client, made)), "quota")
    assert found in f"{check.severity}: {check.message}"


@pytest.mark.usefixtures("as_live")
def test_a_quota_that_is_used_up(service: Service, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    service.faults.always["ListUsages"] = "quota"
    made = plan(study_of(), "azure", base=tmp_path, emulated=True)
    (check,) = by_id(list(check_account(service.client, made)), "quota")
    assert check.severity == "warning"
    assert "Total Cluster Dedicated" in check.message


def test_code_that_vanishes_before_its_upload(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").touch()
    made = plan(study_of(), "azure", base=tmp_path, emulated=True)
    context = JobContext(tmp_path / "job")
    context.folder.mkdir()

    def vanishing(*_: object) -> Path:
        return tmp_path / "missing"

    monkeypatch.setattr("cloudtune_azure.uploads.pack_code", vanishing)
    with pytest.raises(ProviderError, match=r"cannot pack the code: .*No such file"):
        upload(service.client, made, context)


def cluster(**properties: Any) -> dict[str, Any]:
    scale = {"maxNodeCount": 4}
    inner = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": scale, **properties}
    return {"computeType": "AmlCompute", "provisioningState": "Succeeded", "properties": inner}


@pytest.mark.parametrize(
    ("compute", "found"),
    [
        (cluster(), "ok: cpu-cluster has up to 4 nodes STANDARD_DS3_V2"),
        (
            cluster(errors=[{"error": {"code": "ClusterCoreQuotaReached", "message": "full"}}]),
            "warning: cpu-cluster reports: full [ClusterCoreQuotaReached]",
        ),
        (
            {**cluster(state="Running"), "computeType": "ComputeInstance"},
            "ok: cpu-cluster has up to 1 nodes STANDARD_DS3_V2",
        ),
        (
            {**cluster(state="Stopped"), "computeType": "ComputeInstance"},
            "warning: the compute cpu-cluster is Stopped",
        ),
        (
            {
                "computeType": "Kubernetes",
                "provisioningState": "Succeeded",
                "properties": {"namespace": "x"},
            },
            "ok: cpu-cluster is there",
        ),
    ],
)
def test_computes_of_each_kind(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    compute: dict[str, Any],
    found: str,
) -> None:
    (tmp_path / "train.py").touch()
    made = plan(study_of(), "azure", base=tmp_path, emulated=True)

    def get_compute(_name: str) -> Any:
        return {"properties": compute}

    monkeypatch.setattr(service.client, "get_compute", get_compute)
    checks = [f"{each.severity}: {each.message}" for each in check_account(service.client, made)]
    assert found in checks
    assert not any("None" in each for each in checks)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"vmSizes": [{"name": "Standard_DS2_v2"}]}, "unknown"),
        ({"vmSizes": {"error": {"code": "NoRegisteredProviderFound", "message": "x"}}}, "unknown"),
        ({"usages": [{"name": {"value": TOTALS[False]}, "limit": -1, "currentValue": 0}]}, "ok"),
    ],
)
@pytest.mark.usefixtures("as_live")
def test_a_quota_that_azure_does_not_tell_ends_no_check(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    answers: dict[str, Any],
    found: str,
) -> None:
    (tmp_path / "train.py").touch()
    made = plan(study_of(), "azure", base=tmp_path, emulated=True)
    answer, http = service.client.http.json, service.client.http

    def asked(method: str, url: str, **options: Any) -> Any:
        for word, value in answers.items():
            if url.endswith(word) and isinstance(value, dict):
                raise service_error(f"GET {word}", 404, json.dumps(value))
            if url.endswith(word):
                return {"value": value}
        return answer(method, url, **options)

    monkeypatch.setattr(http, "json", asked)
    checks = list(check_account(service.client, made))
    (quota,) = by_id(checks, "quota")
    assert quota.severity == found
    assert {each.id for each in checks} >= {"workspace", "compute", "datastore"}


def test_the_emulator_has_any_machine(service: Service, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    study = study_of(compute=None, instance_type="Standard_M1")
    made = plan(study, "azure", base=tmp_path, emulated=True)
    assert {each.severity for each in check_account(service.client, made)} == {"ok"}


@pytest.mark.usefixtures("as_live")
def test_an_environment_that_the_workspace_lacks(service: Service, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    name = f"azureml:{ENVIRONMENT}:7"
    made = plan(study_of(environment=name), "azure", base=tmp_path, emulated=True)
    check = only(list(check_account(service.client, made)), "environment", "error")
    assert (check.path, check.fix) == (
        "providers.azure.environment",
        "check its name and version",
    )
    service.client.put_environment("7", "python:3.11")
    only(list(check_account(service.client, made)), "environment", "ok")
