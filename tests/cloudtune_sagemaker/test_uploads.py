"""Code and data are in S3 before a job is made, and are brought there once."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from cloudtune.errors import ProviderError
from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.uploads import upload
from tests.cloudtune_sagemaker import fake_aws as fake


class Bench:
    """A folder with a study, and AWS as moto has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "job" / "source").mkdir(parents=True)
        (folder / "job" / "source" / "train.py").write_text("print(1)\n")
        (folder / "code").mkdir()
        (folder / "code" / "train.py").write_text("print(2)\n")
        self.aws = Aws("eu-west-1")
        self.s3 = self.aws.client("s3")
        self.sent: list[str] = []
        self.s3.meta.events.register("before-call.s3.PutObject", self._note)

    def _note(self, params: Mapping[str, Any], **_: Any) -> None:
        self.sent.append(params["url_path"])

    def planned(self, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
        trial = {"script": "train.py", "source": "code", **over}
        own = {**fake.SETTINGS, "region": "eu-west-1", **settings}
        study = {**fake.STUDY, "trial": trial, "providers": {"sagemaker": own}}
        return plan(Study.model_validate(study), "sagemaker", base=self.folder)

    def upload(self, made: Plan) -> None:
        upload(self.aws, made, JobContext(self.folder / "job"))

    def keys(self, made: Plan) -> dict[str, int]:
        """Return what is below the job's own prefix, with sizes."""
        found = self.s3.list_objects_v2(Bucket=made.facts.data["bucket"]).get("Contents", [])
        start = f"cloudtune/{made.facts.job_name}/"
        assert all(each["Key"].startswith(start) for each in found)
        return {each["Key"].removeprefix(start): each["Size"] for each in found}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    with mock_aws():
        made = Bench(tmp_path)
        yield made
        made.s3.close()


def test_the_code_is_packed_with_the_launcher(bench: Bench) -> None:
    made = bench.planned()
    bench.upload(made)
    assert list(bench.keys(made)) == ["source/sourcedir.tar.gz"]
    uri = made.request["TrainingJobDefinition"]["StaticHyperParameters"][
        "sagemaker_submit_directory"
    ]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    packed = bench.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = tar.getnames()
        script = tar.extractfile("source/train.py")
        assert script is not None
        assert script.read() == b"print(1)\n"  # the run's own copy, whatever became of the source
        told = tar.extractfile("cloudtune_study.json")
        assert told is not None
        assert json.loads(told.read())
    program = made.request["TrainingJobDefinition"]["StaticHyperParameters"]["sagemaker_program"]
    launcher = {"__init__.py", "trial.py", "launcher_contract.py"}
    assert {program, *(f"cloudtune/{name}" for name in launcher)} <= set(names)
    assert not (bench.folder / "job" / "sourcedir.tar.gz").exists()


def test_unchanged_code_is_uploaded_once(bench: Bench) -> None:
    made = bench.planned()
    bench.upload(made)
    bench.upload(made)
    assert len(bench.sent) == 1
    (bench.folder / "job" / "source" / "train.py").write_text("print(3)\n")
    bench.upload(made)
    assert len(bench.sent) == 2


def test_inputs_are_uploaded_with_their_folders(bench: Bench) -> None:
    data = bench.folder / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("1,2")
    (data / "deep" / "b.csv").write_text("3")
    (data / "link").symlink_to("deep")
    (data / "twin").symlink_to("deep")
    (data / "deep" / "round").symlink_to("..")
    inputs = {"train": {"local": "data"}, "one": {"local": "data/a.csv"}}
    made = bench.planned({"inputs": inputs})
    bench.upload(made)
    found = bench.keys(made)
    del found["source/sourcedir.tar.gz"]
    assert found == {
        "inputs/one/a.csv": 3,
        "inputs/train/a.csv": 3,
        "inputs/train/deep/b.csv": 1,
        "inputs/train/link/b.csv": 1,
        "inputs/train/twin/b.csv": 1,
    }
    channels = made.request["TrainingJobDefinition"]["InputDataConfig"]
    uris = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in channels}
    home = f"s3://{made.facts.data['bucket']}/cloudtune/{made.facts.job_name}"
    assert uris == {"train": f"{home}/inputs/train/", "one": f"{home}/inputs/one/"}


def test_stored_inputs_are_not_uploaded_again(bench: Bench) -> None:
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    (data / "b.csv").write_text("3,4")
    made = bench.planned({"inputs": {"train": {"local": "data"}}})
    bench.upload(made)
    bench.sent.clear()
    (data / "b.csv").write_text("3,4,5")
    bench.upload(made)
    assert [path.rpartition("/")[2] for path in bench.sent] == ["b.csv"]
    assert bench.keys(made)["inputs/train/b.csv"] == 5


def test_an_empty_input_is_an_error(bench: Bench) -> None:
    (bench.folder / "data").mkdir()
    made = bench.planned({"inputs": {"train": {"local": "data"}}})
    with pytest.raises(ProviderError, match=r"the input .* is empty"):
        bench.upload(made)


def test_the_default_bucket_is_created(bench: Bench) -> None:
    made = bench.planned()
    bench.upload(made)
    where = bench.s3.get_bucket_location(Bucket="sagemaker-eu-west-1-123456789012")
    assert where["LocationConstraint"] == "eu-west-1"


def test_another_bucket_must_exist(bench: Bench) -> None:
    made = bench.planned(bucket="team-data")
    with pytest.raises(ProviderError, match="bucket team-data not found: create it in eu-west-1"):
        bench.upload(made)
    bench.s3.create_bucket(
        Bucket="team-data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    bench.upload(made)
    assert list(bench.keys(made)) == ["source/sourcedir.tar.gz"]


def test_code_in_s3_is_not_uploaded(bench: Bench) -> None:
    made = bench.planned({"source": {"sagemaker": "s3://team/code.tar.gz"}})
    bench.upload(made)
    assert bench.sent == []
