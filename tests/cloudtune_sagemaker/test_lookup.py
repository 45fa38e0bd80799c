"""What is known of the account and this machine before a plan, with nobody asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_sagemaker.console import job_url
from cloudtune_sagemaker.lookup import default_region
from tests.cloudtune_sagemaker import support
from tests.lookups import create_source, flat


@pytest.fixture(autouse=True)
def _no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return create_source(tmp_path / "study")


def own(base: Path, over: Mapping[str, Any] = {}, **settings: Any) -> Mapping[str, Any]:
    emulated = settings.pop("emulated", False)
    plan = support.plan_of(support.study_of(over, **settings), base, emulated=emulated)
    return flat(plan.facts)


def test_the_region_is_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_region(None) == ""
    config = "[default]\nregion = eu-west-1\n[profile team]\nregion=ap-south-1\n[profile bare]\n"
    (tmp_path / "config").write_text(config, "utf-8")
    assert default_region(None) == "eu-west-1"
    assert default_region("default") == "eu-west-1"
    assert default_region("team") == "ap-south-1"
    assert default_region("bare") == ""
    assert default_region("nobody") == ""
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert default_region(None) == "ap-south-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert default_region("team") == "eu-north-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert default_region("team") == "us-west-2"


@pytest.mark.parametrize("content", [b"no section", b"\xff\xfe\x00", b"[a\n", b"[default]\nregion"])
def test_a_configuration_that_cannot_be_read_has_no_region(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config").write_bytes(content)
    assert default_region(None) == ""


def test_settings_win(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert own(base)["region"] == "us-east-1"
    assert own(base, region=None)["region"] == "us-west-2"


def test_account_and_bucket_follow_from_the_role(base: Path) -> None:
    assert own(base)["account"] == "123456789012"
    assert own(base)["bucket"] == "sagemaker-us-east-1-123456789012"
    assert own(base, bucket="mine")["bucket"] == "mine"
    role = "arn:aws-cn:iam::210987654321:role/x"
    assert own(base, region="cn-north-1", role_arn=role)["account"] == "210987654321"


def test_under_an_emulator_no_profile_is_read(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n", "utf-8")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    nothing: dict[str, Any] = dict.fromkeys(["region", "role_arn", "image", "instance_type"])
    found = own(base, {}, emulated=True, **nothing)
    assert found["region"] == "us-east-1"
    assert found["account"] == "000000000000"
    assert "emulated" in found["image"]
    assert found["instance_types"] == ["ml.m5.xlarge"]
    assert list(found["missing"]) == ["region", "role_arn", "image", "instance_type"]
    assert own(base, emulated=True, region="eu-west-3")["region"] == "eu-west-3"
    framework = {"name": "pytorch", "version": "2.3"}
    assert "emulated" in own(base, emulated=True, image=None, framework=framework)["image"]


def test_local_inputs_are_uploaded(base: Path) -> None:
    inputs = {
        "here": "data",
        "own": {"sagemaker": "s3://b/x", "local": "data"},
        "local": {"local": "data", "vertex": "gs://b/x"},
        "file": f"file://{base / 'data'}",
        "other": {"vertex": "gs://b/x"},
        "gone": "nowhere",
        "empty": "empty",
    }
    found = own(base, {"trial": {"script": "train.py", "inputs": inputs}}, prefix="/a/b/")
    addresses = found["inputs"]
    start = "s3://sagemaker-us-east-1-123456789012/a/b/uploads/"
    assert re.fullmatch(rf"{start}[0-9a-f]{{32}}/files/", addresses["here"])
    assert addresses["here"] == addresses["local"] == addresses["file"]
    assert addresses["gone"] == addresses["empty"] != addresses["here"]
    assert (addresses["own"], addresses["other"]) == ("s3://b/x", None)
    assert set(found["uploads"]) == {"here", "local", "file", "gone", "empty"}
    assert found["uploads"]["here"] == str(base / "data")
    assert found["absent_inputs"] == ["gone", "empty"]


def test_missing_files_and_variables_are_reported(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE", "secret")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOT_THERE", raising=False)
    trial = {
        "script": "other.py",
        "env": {
            "A": {"from_env": "THERE"},
            "B": {"from_env": "NOT_THERE"},
            "C": "c",
            "D": {"from_env": "EMPTY"},
        },
    }
    found = own(base, {"trial": trial})
    assert (found["unset"], found["empty"]) == (["NOT_THERE"], ["EMPTY"])
    assert found["absent_files"] == ["other.py"]
    assert found["files"] == {"count": 2, "bytes": 101}
    assert "secret" not in json.dumps(dict(found))


def test_prices_are_the_users_then_the_listed_then_unknown(base: Path) -> None:
    listed = own(base, instance_count=2)
    assert listed["price_per_second"] == pytest.approx(0.115 * 2 / 3600)
    assert listed["currency"] == "USD"
    assert "2026-08-11" in listed["price_source"]
    users = own(base, prices={"hour": "0.5 EUR"})
    assert users["price_per_second"] == pytest.approx(0.5 / 3600)
    assert users["currency"] == "EUR"
    assert own(base, instance_type="ml.m5.24xlarge")["price_per_second"] is None
    assert own(base, region="eu-west-1")["price_per_second"] is None
    dearest = own(base, instance_type=["ml.m5.large", "ml.g5.2xlarge"])
    assert dearest["price_per_second"] == pytest.approx(1.515 / 3600)
    one_unknown = own(base, instance_type=["ml.m5.large", "ml.m5.24xlarge"])
    assert one_unknown["price_per_second"] is None


@pytest.mark.parametrize("prices", [{}, {"prices": {"hour": "0.5 USD"}}])
def test_the_price_includes_the_time_in_a_warm_pool(prices: Any, base: Path) -> None:
    assert own(base, keep_alive="10m", **prices)["idle_seconds"] == 600
    assert own(base, **prices)["idle_seconds"] == 0


def test_instances_from_native_have_no_listed_price(base: Path) -> None:
    machines: list[dict[str, Any]] = [
        {"TrainingJobDefinition": {"ResourceConfig": {"InstanceType": "ml.p4d.24xlarge"}}},
        {"TrainingJobDefinition": {"HyperParameterTuningResourceConfig": {"InstanceConfigs": []}}},
        {"ResourceConfig": {"InstanceCount": 4}},
    ]
    for native in machines:
        assert own(base, native=native)["price_per_second"] is None
        users = own(base, native=native, instance_count=2, prices={"hour": "7.2 USD"})
        assert users["price_per_second"] == pytest.approx(0.002)  # of all of them together
    disk = {"TrainingJobDefinition": {"ResourceConfig": {"VolumeSizeInGB": 100}}}
    assert own(base, native=disk)["price_per_second"] is not None


def test_limits_in_native_are_not_those_of_the_study(base: Path) -> None:
    limits: list[dict[str, Any]] = [
        {"HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 99}}},
        {"TrainingJobDefinition": {"StoppingCondition": {"MaxRuntimeInSeconds": 999}}},
    ]
    assert all(own(base, native=native)["own_limits"] for native in limits)
    assert not own(base, native={"Tags": []})["own_limits"]


def test_every_price_has_a_date_and_a_source() -> None:
    from cloudtune_sagemaker import prices

    table = json.loads(Path(prices.__file__).with_name("prices.json").read_text("utf-8"))
    assert table["prices"]
    for row in table["prices"]:
        assert row.keys() == {"region", "instance_type", "hour", "read", "source"}
        assert row["read"].startswith("20")
        assert row["source"]


def test_job_url() -> None:
    assert job_url("us-east-1", "job") == (
        "https://us-east-1.console.aws.amazon.com/sagemaker/home?region=us-east-1"
        "#/hyper-tuning-jobs/job"
    )
    assert job_url("cn-north-1", "job").startswith("https://cn-north-1.console.amazonaws.cn/")
    assert "us-gov" in job_url("us-gov-west-1", "job", driven=True)
    assert job_url("eusc-de-east-1", "job").startswith(
        "https://eusc-de-east-1.console.amazonaws-eusc.eu/"
    )
    assert job_url("us-east-1", "job", driven=True).endswith("#/jobs")


def test_the_emulator_prefers_local_inputs(base: Path) -> None:
    (base / "here").mkdir()
    (base / "here" / "x").write_text("1", "utf-8")
    both = {"local": "here", "sagemaker": "s3://b/data"}
    over = {"trial": {"script": "train.py", "inputs": {"both": both, "far": "s3://b/far"}}}
    study = support.study_of(over)
    assert support.plan_of(study, base).facts.lookup.inputs.uploads == {}
    emulated = support.plan_of(study, base, emulated=True)
    assert emulated.facts.lookup.inputs.uploads == {"both": str(base / "here")}
    assert "refused" in emulated.at("trial.inputs.far")
