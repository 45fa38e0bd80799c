"""The lookup: facts about the project and this machine, without calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_vertex.lookup import EMULATED, default_location, default_project
from tests.cloudtune_vertex import support
from tests.lookups import create_source, flat


@pytest.fixture(autouse=True)
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "GOOGLE_CLOUD_PROJECT",
        "CLOUD_ML_PROJECT_ID",
        "GOOGLE_CLOUD_REGION",
        "CLOUD_ML_REGION",
        "CLOUDSDK_ACTIVE_CONFIG_NAME",
    ):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "gcloud"
    (folder / "configurations").mkdir(parents=True)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder))
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return create_source(tmp_path / "study")


def own(base: Path, over: Mapping[str, Any] = {}, **settings: Any) -> Mapping[str, Any]:
    emulated = settings.pop("emulated", False)
    plan = support.plan_of(support.study_of(over, **settings), base, emulated=emulated)
    return flat(plan.facts)


def test_order_of_sources_for_project_and_location(
    gcloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (default_project(), default_location()) == (None, None)
    configurations = gcloud / "configurations"
    (configurations / "config_default").write_text("[core]\nproject = of-default\n", "utf-8")
    (configurations / "config_team").write_text(
        "[core]\nproject = of-team\n[ai]\nregion=europe-west4\n", "utf-8"
    )
    (gcloud / "active_config").write_text("default\n", "utf-8")
    assert (default_project(), default_location()) == ("of-default", None)
    monkeypatch.setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "team")
    assert (default_project(), default_location()) == ("of-team", "europe-west4")
    monkeypatch.setenv("CLOUD_ML_PROJECT_ID", "of-notebook")
    monkeypatch.setenv("CLOUD_ML_REGION", "us-west1")
    assert (default_project(), default_location()) == ("of-notebook", "us-west1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-shell")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-east1")
    assert (default_project(), default_location()) == ("of-shell", "us-east1")


@pytest.mark.parametrize("content", [b"no section", b"\xff\xfe\x00", b"[a\n", b"[core]\nproject"])
def test_an_unreadable_gcloud_configuration_is_ignored(gcloud: Path, content: bytes) -> None:
    (gcloud / "active_config").write_text("default", "utf-8")
    (gcloud / "configurations" / "config_default").write_bytes(content)
    assert default_project() is None


def test_settings_take_precedence(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-shell")
    assert own(base)["project"] == "my-project"
    assert own(base, project=None)["project"] == "of-shell"


def test_missing_settings_have_hints_and_visible_placeholders(base: Path) -> None:
    found = own(base, project=None, location=None, bucket=None, image=None, machine_type=None)
    names = ["project", "location", "bucket", "image", "machine_type"]
    assert list(found["missing"]) == names
    for name in names:
        assert found[name] == f"{{{{{name}}}}}"


def test_the_emulator_has_placeholders_and_ignores_the_environment(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-shell")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-east1")
    nothing: dict[str, Any] = dict.fromkeys(EMULATED)
    found = own(base, {}, emulated=True, **nothing)
    assert {name: found[name] for name in EMULATED} == EMULATED
    assert found["prebuilt"]
    assert own(base, emulated=True)["project"] == "my-project"


@pytest.mark.parametrize(
    ("image", "prebuilt"),
    [
        ("us-docker.pkg.dev/vertex-ai/training/pytorch-gpu.2-4.py310:latest", True),
        ("europe-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest", True),
        ("gcr.io/cloud-aiplatform/training/tf-cpu.2-2:latest", True),
        ("us-docker.pkg.dev/my-project/vertex-ai/train:1", False),
        ("us-docker.pkg.dev/vertex-ai-mine/training/x", False),
        ("example.com/us-docker.pkg.dev/vertex-ai/training/x", False),
        ("gcr.io/my-project/train", False),
    ],
)
def test_prebuilt_images_are_recognized_by_address(image: str, prebuilt: bool, base: Path) -> None:
    assert own(base, image=image)["prebuilt"] is prebuilt


def test_inputs_have_an_address_a_path_and_uploads(base: Path) -> None:
    inputs = {
        "far": "gs://data/train/",
        "folder": {"local": "data"},
        "file": {"local": "data/rows.csv"},
        "both": {"local": "data", "vertex": "gs://data/test"},
        "nothing": {"local": "empty"},
        "elsewhere": {"sagemaker": "s3://data/x"},
    }
    found = own(base, {"trial": {"script": "train.py", "inputs": inputs}})
    uploaded = {name: found["inputs"].pop(name) for name in ("folder", "file", "nothing")}
    assert found["inputs"] == {
        "far": "gs://data/train/",
        "both": "gs://data/test",
        "elsewhere": None,
    }
    for uri in uploaded.values():
        assert re.fullmatch(r"gs://my-bucket/cloudtune/uploads/[0-9a-f]{32}/files", uri)
    folders = {name: uri.removeprefix("gs://") for name, uri in uploaded.items()}
    assert found["paths"] == {
        "far": "/gcs/data/train/",
        "folder": f"/gcs/{folders['folder']}",
        "file": f"/gcs/{folders['file']}/rows.csv",
        "both": "/gcs/data/test",
        "nothing": f"/gcs/{folders['nothing']}",
    }
    assert found["uploads"] == {
        "folder": str(base / "data"),
        "file": str(base / "data" / "rows.csv"),
        "nothing": str(base / "empty"),
    }
    assert found["absent_inputs"] == ["nothing"]
    emulated = own(base, {"trial": {"script": "train.py", "inputs": inputs}}, emulated=True)
    assert emulated["uploads"]["both"] == str(base / "data")


POOLS = {"workerPoolSpecs": [{"replicaCount": "4"}]}


def test_the_price_is_from_the_settings_or_the_list(base: Path) -> None:
    found = own(base)
    assert found["price_per_second"] * 3600 == pytest.approx(0.21849885)
    assert found["currency"] == "USD"
    assert "read 2026-09-06" in found["price_source"]
    unknown: list[dict[str, Any]] = [
        {"machine_type": "n1-standard-8"},
        {"location": "europe-west4"},
        {"spot": True},
        {"flex_start": True},
        {"accelerator_type": "NVIDIA_TESLA_T4"},
        {"disk_gb": 60_000},
        {"disk_type": "pd-ssd"},
    ]
    for more in unknown:
        assert own(base, **more)["price_per_second"] is None
    for job in ({"trialJobSpec": POOLS}, {"trialJobSpec": {"scheduling": {"strategy": "SPOT"}}}):
        assert own(base, native={"hyperparameterTuningJob": job})["price_per_second"] is None
    assert own(base, native={"customJob": {"jobSpec": POOLS}})["price_per_second"] is None
    disk = {"trialJobSpec": {"workerPoolSpecs": [{"diskSpec": {"bootDiskSizeGb": 200}}]}}
    assert own(base, native={"hyperparameterTuningJob": disk})["price_per_second"] is None
    labels = {"hyperparameterTuningJob": {"labels": {"team": "x"}}}
    assert own(base, native=labels)["price_per_second"] is not None
    said = own(base, spot=True, prices={"hour": "7.2 EUR"}, native={"customJob": POOLS})
    assert said["price_per_second"] == pytest.approx(0.002)
    assert said["currency"] == "EUR"


def test_limits_in_native_are_recorded(base: Path) -> None:
    assert not own(base, native={"hyperparameterTuningJob": {"labels": {}}})["own_limits"]
    for job in (
        {"maxTrialCount": 99},
        {"parallelTrialCount": 9},
        {"trialJobSpec": {"scheduling": {"timeout": "9s"}}},
        {"studySpec": {"studyStoppingConfig": None}},
    ):
        assert own(base, native={"hyperparameterTuningJob": job})["own_limits"]


def test_the_longest_trial_is_unknown_with_a_resource(base: Path) -> None:
    assert own(base)["longest_trial"] == 604_800
    rungs = {"strategy": {"name": "hyperband", "resource": "epochs", "max": 9}}
    assert own(base, rungs)["longest_trial"] is None


def test_links_name_the_project(base: Path) -> None:
    found = own(base)
    assert found["job_links"] == {
        "managed": "https://console.cloud.google.com/agent-platform/locations/us-central1/training/"
        "{job}?project=my-project"
    }
    links = found["links"]
    assert links["managed"].endswith("/hyperparameter-tuning-jobs?project=my-project")
    assert links["driven"].endswith("/custom-jobs?project=my-project")


def test_code_in_cloud_storage(base: Path) -> None:
    code = "gs://code/trainer-0.1.tar.gz"
    assert own(base, {"trial": {"source": code, "module": "trainer.task"}})["code"] == code
    assert own(base)["code"] is None
    assert own(base)["files"] == {"count": 2, "bytes": 101}
