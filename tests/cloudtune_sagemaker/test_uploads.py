"""Code and data are in S3 before a job is made, and are brought there once."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from cloudtune.bundle.launcher import launcher_program
from cloudtune.cli.main_group import cloudtune as cli
from cloudtune.errors import ProviderError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.uploads import pack_code, upload, uploaded_folders
from tests.cloudtune_sagemaker.support import PLAIN, SETTINGS


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
        self._transfer = self.aws.transfer

    @contextmanager
    def transfer(self) -> Generator[Any]:
        """Yield boto3's transfer manager, and note what it uploads."""
        with self._transfer() as manager:
            manager.client.meta.events.register("before-call.s3.PutObject", self._note)
            yield manager

    def _note(self, params: Mapping[str, Any], **_: Any) -> None:
        self.sent.append(params["url_path"])

    def planned(self, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
        trial = {"script": "train.py", "source": "code", **over}
        image = SETTINGS["image"].replace("us-east-1", "eu-west-1")
        own = {**SETTINGS, "region": "eu-west-1", "image": image, **settings}
        study = {**PLAIN, "trial": trial, "providers": {"sagemaker": own}}
        return plan(Study.model_validate(study), "sagemaker", base=self.folder)

    def upload(self, created: Plan) -> None:
        upload(self.aws, created, JobContext(self.folder / "job"))

    def keys(self, created: Plan, address: str | None = None) -> dict[str, int]:
        """Return what is below an address, by default that of the code, with sizes."""
        bucket = created.facts.data["bucket"]
        address = address or uploaded_folders(created)[0]
        found = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        assert all(each["Key"].startswith("cloudtune/uploads/") for each in found)
        keys = {f"s3://{bucket}/{each['Key']}": each["Size"] for each in found}
        return {key.removeprefix(address): keys[key] for key in keys if key.startswith(address)}

    def sent_files(self) -> list[str]:
        """Return the names of the uploaded files."""
        return [path.partition("/files/")[2] for path in self.sent if "/files/" in path]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    with mock_aws():
        created = Bench(tmp_path)
        monkeypatch.setattr(created.aws, "transfer", created.transfer)
        yield created
        created.s3.close()


def test_the_code_is_packed_with_the_launcher(bench: Bench) -> None:
    created = bench.planned()
    bench.upload(created)
    assert list(bench.keys(created)) == ["sourcedir.tar.gz"]
    uri = created.request["TrainingJobDefinition"]["StaticHyperParameters"][
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
    program = created.request["TrainingJobDefinition"]["StaticHyperParameters"]["sagemaker_program"]
    assert {program, "cloudtune/launcher_contract.py", *launcher_program()} <= set(names)
    assert not (bench.folder / "job" / "sourcedir.tar.gz").exists()


def test_equal_code_is_uploaded_once(bench: Bench) -> None:
    first, second = bench.planned(), bench.planned()
    bench.upload(first)
    bench.upload(first)
    bench.upload(second)
    assert bench.sent_files() == ["sourcedir.tar.gz"]
    assert uploaded_folders(first) == uploaded_folders(second)
    (bench.folder / "code" / "train.py").write_text("print(3)\n")
    third = bench.planned()
    bench.upload(third)
    assert uploaded_folders(first) != uploaded_folders(third)
    other_script = bench.planned({"args": ["--verbose"]})
    assert uploaded_folders(third) != uploaded_folders(other_script)


def test_equal_code_has_equal_bytes(bench: Bench) -> None:
    context = JobContext(bench.folder / "job")
    first = pack_code(bench.planned(), context).read_bytes()
    assert pack_code(bench.planned(), context).read_bytes() == first


def test_inputs_are_uploaded_with_their_folders(bench: Bench) -> None:
    data = bench.folder / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("1,2")
    (data / "deep" / "b.csv").write_text("3")
    (data / "link").symlink_to("deep")
    (data / "twin").symlink_to("deep")
    (data / "deep" / "round").symlink_to("..")
    inputs = {"train": {"local": "data"}, "one": {"local": "data/a.csv"}}
    created = bench.planned({"inputs": inputs})
    bench.upload(created)
    channels = created.request["TrainingJobDefinition"]["InputDataConfig"]
    uris = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in channels}
    assert all(uri.endswith("/files/") for uri in uris.values())
    assert bench.keys(created, uris["one"]) == {"a.csv": 3}
    assert bench.keys(created, uris["train"]) == {
        "a.csv": 3,
        "deep/b.csv": 1,
        "link/b.csv": 1,
        "twin/b.csv": 1,
    }


def test_equal_inputs_are_uploaded_once(bench: Bench) -> None:
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    inputs = {"inputs": {"train": {"local": "data"}, "test": {"local": "data"}}}
    bench.upload(bench.planned(inputs))
    bench.upload(bench.planned(inputs))
    assert bench.sent_files().count("a.csv") == 1
    (data / "a.csv").write_text("1,3")
    bench.upload(bench.planned(inputs))
    assert bench.sent_files().count("a.csv") == 2


def test_an_upload_that_broke_off_continues(bench: Bench) -> None:
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    (data / "b.csv").write_text("3,4")
    created = bench.planned({"inputs": {"train": {"local": "data"}}})
    bench.upload(created)
    bench.sent.clear()
    bucket = created.facts.data["bucket"]
    folder = uploaded_folders(created)[1]
    for gone in (f"{folder}b.csv", f"{folder.removesuffix('files/')}complete"):
        bench.s3.delete_object(Bucket=bucket, Key=gone.partition(f"{bucket}/")[2])
    bench.upload(created)
    assert bench.sent_files() == ["b.csv"]


def test_an_input_that_has_changed_since_the_plan_is_an_error(bench: Bench) -> None:
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    created = bench.planned({"inputs": {"train": {"local": "data"}}})
    (data / "a.csv").write_text("1,2,3")
    with pytest.raises(ProviderError, match="has changed since it was planned"):
        bench.upload(created)


def test_what_is_uploaded_is_not_read_again(bench: Bench) -> None:
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    created = bench.planned({"inputs": {"train": {"local": "data"}}})
    bench.upload(created)
    (data / "a.csv").unlink()
    bench.upload(created)


def test_clean_removes_what_no_other_run_uses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: Any) -> Aws:
        return bench.aws

    monkeypatch.setattr("cloudtune_sagemaker.client.connect", connect)
    data = bench.folder / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2")
    inputs = {"inputs": {"train": {"local": "data"}}}
    first, second = bench.planned(inputs), bench.planned(inputs)
    own = bench.planned({**inputs, "args": ["--own"]})
    for created in (first, second, own):
        lifecycle.create([created])
        bench.upload(created)
    code, train = uploaded_folders(own)
    run = own.facts.run_id
    clean = CliRunner().invoke(cli, ["clean", run, "--remote"], input="n\n")
    assert clean.exit_code == 1
    assert f"{code} (1 file, " in clean.stderr
    assert re.search(rf"{train} \(1 file, .*\) stays, used by 2 other runs", clean.stderr)
    assert len(bench.keys(own, train)) == 1
    bench.s3.put_object(Bucket=own.facts.data["bucket"], Key="cloudtune/uploads/other", Body=b"")
    clean = CliRunner().invoke(cli, ["clean", run, "--remote", "--yes"])
    assert clean.exit_code == 0, clean.output
    assert bench.keys(own, code.removesuffix("files/")) == {}
    assert len(bench.keys(own, train)) == 1
    clean = CliRunner().invoke(cli, ["clean", "--remote", "--yes"])
    assert clean.exit_code == 0, clean.output
    assert "will be removed" in clean.stderr
    assert "stays" not in clean.stderr
    prefix = f"s3://{own.facts.data['bucket']}/cloudtune/uploads/"
    assert list(bench.keys(own, prefix)) == ["other"]


def test_a_run_whose_bucket_is_gone_is_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: Any) -> Aws:
        return bench.aws

    monkeypatch.setattr("cloudtune_sagemaker.client.connect", connect)
    created = bench.planned()
    lifecycle.create([created])
    bench.upload(created)
    bucket = created.facts.data["bucket"]
    for each in bench.s3.list_objects_v2(Bucket=bucket)["Contents"]:
        bench.s3.delete_object(Bucket=bucket, Key=each["Key"])
    bench.s3.delete_bucket(Bucket=bucket)
    clean = CliRunner().invoke(cli, ["clean", created.facts.run_id, "--remote", "--yes"])
    assert (clean.exit_code, clean.stderr) == (0, "")
    assert created.facts.run_id in clean.stdout


def test_a_run_whose_uploads_are_unknown_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = bench.planned()
    lifecycle.create([created])

    def refuse(*_: Any) -> Aws:
        raise ProviderError("sagemaker", "no credentials")

    monkeypatch.setattr("cloudtune_sagemaker.client.connect", refuse)
    clean = CliRunner().invoke(cli, ["clean", "--remote", "--yes"])
    assert clean.exit_code == 3
    assert "stays: its uploads are unknown" in clean.stderr
    assert lifecycle.results(created.facts.run_id)


@pytest.mark.parametrize("is_unknown", [False, True])
def test_uploads_of_a_job_that_may_run_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_unknown: bool
) -> None:
    def connect(*_: Any) -> Any:
        return bench.aws

    monkeypatch.setattr("cloudtune_sagemaker.client.connect", connect)
    created = bench.planned()
    run = lifecycle.create([created]).id
    bench.upload(created)
    with Ledger() as ledger:
        ledger.begin_job(run, "sagemaker")
        ledger.set_job_name(run, "sagemaker", created.facts.job_name)
        if is_unknown:
            ledger.end_job(run, "sagemaker", "unknown", "it may still run")
    clean = CliRunner().invoke(cli, ["clean", run, "--remote", "--yes"])
    assert clean.exit_code == 3
    assert f"run {run} stays: sagemaker may still run {created.facts.job_name}" in clean.stderr
    assert lifecycle.results(run)
    (code,) = uploaded_folders(created)
    assert len(bench.keys(created, code)) == 1


def test_an_empty_input_is_an_error(bench: Bench) -> None:
    (bench.folder / "data").mkdir()
    created = bench.planned({"inputs": {"train": {"local": "data"}}})
    with pytest.raises(ProviderError, match=r"the input .* is empty"):
        bench.upload(created)


def test_the_default_bucket_is_created(bench: Bench) -> None:
    created = bench.planned()
    bench.upload(created)
    where = bench.s3.get_bucket_location(Bucket="sagemaker-eu-west-1-123456789012")
    assert where["LocationConstraint"] == "eu-west-1"


def test_another_bucket_must_exist(bench: Bench) -> None:
    created = bench.planned(bucket="team-data")
    with pytest.raises(ProviderError, match="bucket team-data not found: create it in eu-west-1"):
        bench.upload(created)
    bench.s3.create_bucket(
        Bucket="team-data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    bench.upload(created)
    assert list(bench.keys(created)) == ["sourcedir.tar.gz"]


def test_code_in_s3_is_not_uploaded(bench: Bench) -> None:
    created = bench.planned({"source": {"sagemaker": "s3://team/code.tar.gz"}})
    bench.upload(created)
    assert bench.sent_files() == []
