"""Requests stay at AWS when a server redirects one; botocore itself follows no redirect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from cloudtune.provider import retries
from cloudtune.provider.call_record import recorded_calls
from cloudtune.provider.models import Emulator
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError
from tests.redirecting_server import RedirectingServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedirectingServer]:
    with RedirectingServer(tmp_path).serving() as server:
        monkeypatch.setattr(retries, "RETRY_SECONDS", 0.1)
        monkeypatch.setattr(retries, "SHORT_RETRY_SECONDS", 0.1)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(server.certificate))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAVERYSECRET")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key")
        yield server


@pytest.mark.parametrize("emulated", [False, True])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_to_another_address(
    server: RedirectingServer,
    status: int,
    emulated: bool,
) -> None:
    server.status = status
    emulator = Emulator(server.url, "the-key") if emulated else None
    aws = Aws("us-east-1", emulator=emulator)
    for service, operation, members in (
        ("sagemaker", "describe_training_job", {"TrainingJobName": "job"}),
        ("sts", "get_caller_identity", {}),
        ("logs", "describe_log_groups", {}),
        ("s3", "put_object", {"Bucket": "bucket", "Key": "code", "Body": b"very secret code"}),
        ("s3", "get_object", {"Bucket": "bucket", "Key": "code"}),
    ):
        server.requests.clear()
        with pytest.raises(AwsError):
            aws.call(service, operation, **members)
        assert server.requests, (service, operation)
    assert server.leaked == []


@pytest.mark.parametrize(
    ("url", "is_at_service"),
    [
        ("", True),
        ("https://vpce-1.api.sagemaker.us-east-1.vpce.amazonaws.com", True),
        ("https://api.sagemaker.eusc-de-east-1.amazonaws.eu", True),
        ("http://localstack:4566", False),
        ("https://amazonaws.com.corp.example", False),
        ("https://my-amazonaws.com", False),
    ],
)
def test_a_verification_sees_whether_calls_reach_aws(
    monkeypatch: pytest.MonkeyPatch, url: str, is_at_service: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    aws = Aws("us-east-1")
    client = aws.client("sagemaker")

    def answer(**_: object) -> tuple[object, dict[str, object]]:
        return AWSResponse(client.meta.endpoint_url, 200, HTTPHeaders(), None), {
            "TrainingJobSummaries": []
        }

    client.meta.events.register("before-call", answer)
    with recorded_calls() as calls:
        aws.call("sagemaker", "list_training_jobs")
    assert [each.is_at_service for each in calls] == [is_at_service]
