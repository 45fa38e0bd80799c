"""Logs of training jobs in CloudWatch, and what `cloudtune logs` prints of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from cloudtune.cli.main_group import cloudtune
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan
from cloudtune.results.events import Ended, Started
from cloudtune.runs import lifecycle
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import LOG_GROUP, read_log
from cloudtune_sagemaker.errors import AwsError
from tests.cloudtune_sagemaker.support import study_of

ADDRESS = "https://us-east-1.console.aws.amazon.com/cloudwatch/home#logs"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        connected = Aws("us-east-1")
        connected.client("logs").create_log_group(logGroupName=LOG_GROUP)
        yield connected


def write(aws: Aws, stream: str, *lines: str) -> None:
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def test_all_lines_of_one_job(aws: Aws) -> None:
    lines = [f"line {number}" for number in range(10_001)]  # one more than a page
    write(aws, "job-1/algo-1-1", *lines[:10_000])
    aws.client("logs").put_log_events(
        logGroupName=LOG_GROUP,
        logStreamName="job-1/algo-1-1",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": lines[-1]}],
    )
    write(aws, "job-10/algo-1-1", "of another job")
    assert list(read_log(aws, "job-1")) == lines


def test_several_instances_and_starts_have_headings(aws: Aws) -> None:
    write(aws, "job/algo-1-1", "first")
    write(aws, "job/algo-2-1", "second")
    assert list(read_log(aws, "job")) == [
        "==> job/algo-1-1 <==",
        "first",
        "==> job/algo-2-1 <==",
        "second",
    ]


def test_a_job_without_a_log_is_an_error(aws: Aws) -> None:
    with pytest.raises(AwsError, match="no log of job yet"):
        list(read_log(aws, "job"))


def print_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, aws: Aws | AwsError
) -> tuple[str, str]:
    """Run `cloudtune logs` on a run with one trial; return what it prints."""

    def connect(*_: Any) -> Aws:
        if isinstance(aws, AwsError):
            raise aws
        return aws

    monkeypatch.setenv("CLOUDTUNE_HOME", str(folder / "state"))
    monkeypatch.setattr("cloudtune_sagemaker.client.connect", connect)
    (folder / "train.py").touch()
    planned = plan(study_of(mode="driven"), "sagemaker", base=folder)
    run = lifecycle.create([planned]).id
    with Ledger() as ledger:
        ledger.append(
            run,
            "sagemaker",
            Started(1, 1.0, {"lr": 0.5, "kind": "1e3"}, id="job-1"),
            Ended(1, 2.0, "completed", log=ADDRESS),
        )
    printed = CliRunner().invoke(cloudtune, ["logs"], catch_exceptions=False)
    assert printed.exit_code == 0, printed.output
    return printed.stdout, printed.stderr


def test_the_command_prints_the_log(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(aws, "job-1/algo-1-1", "acc=1", "done")
    assert print_log(tmp_path, monkeypatch, aws) == ("acc=1\ndone\n", "")


def test_without_the_right_it_prints_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout, stderr = print_log(tmp_path, monkeypatch, AwsError("no", code="AccessDeniedException"))
    assert stdout == f"{ADDRESS}\n"
    assert "cannot read the log" in stderr
