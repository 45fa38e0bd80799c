"""Each finding of the project, through Google's clients and with the fault that causes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cloudtune_vertex import rights
from cloudtune_vertex.account.resources import quota_value
from tests.account_checks import always, by_id, only
from tests.cloudtune_vertex.account.conftest import Account
from tests.cloudtune_vertex.support import OWN_IMAGE

Start = Callable[..., Account]


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_a_healthy_project(account: Account, tmp_path: Path, mode: Any) -> None:
    checks = account.checks(tmp_path, mode)
    assert [str(check) for check in checks if check.severity != "ok"] == []
    texts = "; ".join(check.message for check in checks)
    assert "from key of the emulator" in texts
    assert "project my-project responds" in texts
    assert "the APIs are enabled" in texts
    assert "bucket in-iowa is in us-central1" in texts
    assert "all 4 permissions on the bucket in-iowa" in texts
    assert "quota custom_model_training_cpus is 200 for 8" in texts
    assert account.key not in repr(checks)


def test_googles_own_client_is_answered(account: Account) -> None:
    manager: Any = import_module("google.cloud.resourcemanager_v3")
    client = manager.ProjectsClient(
        transport="rest",
        credentials=account.credentials(),
        client_options={"api_endpoint": account.url},
    )
    names = ["aiplatform.customJobs.get", "storage.objects.list"]
    answer = client.test_iam_permissions(resource="projects/my-project", permissions=names)
    assert list(answer.permissions) == names
    client.transport.close()
    assert account.storage.bucket("in-iowa").test_iam_permissions(names) == names


def test_calls_create_nothing(account: Account, tmp_path: Path) -> None:
    before = (account.folder / "calls.jsonl").read_text().splitlines()
    account.checks(tmp_path, image=OWN_IMAGE, bucket="nowhere")
    lines = (account.folder / "calls.jsonl").read_text().splitlines()
    new = {json.loads(line)["action"] for line in lines if line not in before}
    assert new <= {"storage.objects.list", *rights.DOCTOR}


def test_expired_credentials_end_the_checks(start_account: Start, tmp_path: Path) -> None:
    account = start_account(faults=always("TestIamPermissions", effect="expire"))
    checks = account.checks(tmp_path)
    check = only(checks, "credentials", "error")
    assert "no longer valid" in check.message
    assert "nothing else of the project could be checked" in check.message
    assert check.command == "gcloud auth application-default login"
    assert {each.id for each in checks} == {"sdk-version", "credentials"}


def test_what_cannot_be_asked_is_unknown_with_the_permission_that_is_missing(
    start_account: Start, tmp_path: Path
) -> None:
    asked = ("storage.objects.list", "TestIamPermissions", "TestServiceAccountPermissions")
    account = start_account(faults=always(*rights.DOCTOR, *asked))
    robot = "robot@my-project.iam.gserviceaccount.com"
    checks = account.checks(tmp_path, image=OWN_IMAGE, service_account=robot)
    assert "serviceusage.services.get" in only(checks, "apis", "unknown").fix
    assert "cloudquotas.quotas.get" in only(checks, "quota", "unknown").fix
    assert "IAM & Admin" in only(checks, "quota", "unknown").fix
    assert "artifactregistry.tags.get" in only(checks, "image", "unknown").fix
    assert "storage.objects.list on in-iowa" in only(checks, "bucket", "unknown").fix
    assert "iam.serviceAccounts.actAs" in only(checks, "service-account", "unknown").fix
    assert "gcloud projects describe my-project" in by_id(checks, "permissions")[0].fix
    assert [str(check) for check in checks if check.severity == "error"] == []


def test_a_disabled_api(start_account: Start, tmp_path: Path) -> None:
    account = start_account()
    account.post("/v1/projects/my-project/services/aiplatform.googleapis.com:disable")
    check = only(account.checks(tmp_path), "apis", "error")
    assert "aiplatform.googleapis.com" in check.message
    assert check.command == "gcloud services enable aiplatform.googleapis.com --project=my-project"


def test_permissions_that_are_missing(start_account: Start, tmp_path: Path) -> None:
    denied = ("aiplatform.customJobs.create", "storage.objects.create", "logging.logEntries.list")
    account = start_account(faults=always(*denied, "iam.serviceAccounts.actAs"))
    checks = account.checks(tmp_path, "driven", service_account="robot@x.iam.gserviceaccount.com")
    project, bucket = (check for check in by_id(checks, "permissions") if check.severity == "error")
    assert "aiplatform.customJobs.create on the project my-project" in project.message
    assert "--permissions=aiplatform.customJobs.create" in project.command
    assert "storage.objects.create on the bucket in-iowa" in bucket.message
    assert "gcloud storage buckets add-iam-policy-binding gs://in-iowa" in bucket.command
    assert "`cloudtune logs`" in only(checks, "permissions", "warning").message
    account_check = only(checks, "service-account", "error")
    assert account_check.path == "providers.vertex.service_account"
    assert "roles/iam.serviceAccountUser" in account_check.command


def test_buckets(account: Account, tmp_path: Path) -> None:
    check = only(account.checks(tmp_path, bucket="abroad"), "bucket-location", "error")
    assert "is in europe-west4 and the jobs run in us-central1" in check.message
    check = only(account.checks(tmp_path, bucket="team-bucket"), "bucket-location", "warning")
    assert "multi-region us" in check.message
    trial = {"script": "train.py", "inputs": {"train": {"vertex": "gs://nowhere/train"}}}
    check = only(account.checks(tmp_path, over={"trial": trial}), "bucket", "error")
    assert check.path == "trial.inputs.train"
    place = "--project=my-project --location=us-central1"
    assert check.command == f"gcloud storage buckets create gs://nowhere {place}"


def test_images(account: Account, tmp_path: Path) -> None:
    check = only(account.checks(tmp_path, image=OWN_IMAGE), "image", "unknown")
    assert check.fix == "this emulator knows only its own tags"
    tags = "/v1/projects/my-project/locations/us-central1/repositories/images/packages"
    account.post(f"{tags}/train/tags", tagId="1")
    account.post(f"{tags}/team%2Ftrain/tags", tagId="1")
    assert only(account.checks(tmp_path, image=OWN_IMAGE), "image", "ok")
    nested = OWN_IMAGE.replace("/train", "/team/train")
    assert only(account.checks(tmp_path, image=nested), "image", "ok")
    check = only(account.checks(tmp_path, image=OWN_IMAGE[:-1] + "2"), "image", "error")
    assert "gcloud artifacts docker images list" in check.command
    elsewhere = account.checks(tmp_path, image="gcr.io/my-project/train:1")
    assert only(elsewhere, "image", "unknown")


def test_persistent_resources(account: Account, tmp_path: Path) -> None:
    def check(severity: Any, **settings: Any) -> Any:
        checks = account.checks(tmp_path, "driven", persistent_resource="pool", **settings)
        return only(checks, "persistent-resource", severity)

    assert check("unknown").fix == "this emulator knows only its own persistent resources"
    path = "/v1/projects/my-project/locations/us-central1/persistentResources"
    pools = [{"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "2"}]
    account.post(path, {"resourcePools": pools}, persistentResourceId="other")
    missing = check("error")
    assert "there is no persistent resource pool in us-central1" in missing.message
    assert missing.command.startswith("gcloud ai persistent-resources list")
    account.post(path, {"resourcePools": pools}, persistentResourceId="pool")
    assert check("ok", machine_type="n1-standard-4").message.endswith("for 2 trials at a time")
    other = check("error", machine_type="n1-standard-8")
    assert "has n1-standard-4, not n1-standard-8" in other.message
    many = check("warning", machine_type="n1-standard-4", limits={"parallel_trials": 3})
    assert "has 2 machines of n1-standard-4, and the study runs 3 trials" in many.message
    managed = account.checks(tmp_path, "managed", persistent_resource="pool")
    assert not by_id(managed, "persistent-resource")


def test_quotas(start_account: Start, tmp_path: Path) -> None:
    account = start_account(faults=always("ListQuotaInfos", effect="quota"))
    gpus: dict[str, Any] = {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2}
    checks = by_id(account.checks(tmp_path, **gpus), "quota")
    assert [check.severity for check in checks] == ["error", "error"]
    assert "custom_model_training_cpus in us-central1 is 0" in checks[0].message
    assert "needs 4 accelerators" in checks[1].message
    assert "--quota-id=custom_model_training_nvidia_t4_gpus" in checks[1].command
    spot = account.checks(tmp_path, spot=True, **gpus)
    assert "preemptible_cpus" in by_id(spot, "quota")[0].message
    assert only(spot, "quota", "unknown").fix.startswith("see IAM & Admin")


@pytest.mark.parametrize(
    ("entries", "value"),
    [
        ([{"dimensions": {"region": "a"}, "details": {"value": "5"}}], 5),
        ([{"dimensions": {"region": "b"}, "details": {"value": "5"}}], None),
        (
            [
                {"dimensions": {}, "details": {"value": "1"}},
                {"dimensions": {"region": "a"}, "details": {"value": "-1"}},
            ],
            -1,
        ),
        ([{"applicableLocations": ["a"], "details": {"value": "7"}}], 7),
        ([], None),
    ],
)
def test_the_value_of_a_quota_in_a_location(entries: list[Any], value: int | None) -> None:
    assert quota_value({"dimensionsInfos": entries}, "a") == value
