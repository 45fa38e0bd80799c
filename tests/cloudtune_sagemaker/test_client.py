"""AWS is reached as it should be, an emulator alone where there is one, and errors are plain."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudtune._version import __version__
from cloudtune.errors import EmulatorEndedError, MissingExtraError
from cloudtune.provider import retries
from cloudtune.provider.models import Emulator
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError

KEY = "EMULATED0123456789"
REAL = "AKIAREALREALREALREAL"


JOB = {"TrainingJobName": "j", "TrainingJobArn": "a", "TrainingJobStatus": "Completed"}


class Server:
    """Answers as SageMaker what the test wants, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any] | None]] = []
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append(dict(self.headers))
                is_job = "Describe" in self.headers.get("X-Amz-Target", "")
                known = (200, JOB if is_job else {})
                status, said = outer.answers.pop(0) if outer.answers else known
                if said is None:
                    self.close_connection = True
                    return
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST  # noqa: N815 - theirs

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - theirs
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def refuse(self, code: str, message: str = "no", status: int = 400) -> None:
        self.answers.append((status, {"__type": code, "message": message}))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Server, Aws]]:
    """A server and a client of it that tries each call once; making one takes half a second."""
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "SHORT_RETRY_SECONDS", 0.0)
        aws = Aws("us-east-1", emulator=Emulator(server.url, KEY))
        client = aws.client("sagemaker")
        yield server, aws
    client.close()
    server.close()


@pytest.fixture
def server(shared: tuple[Server, Aws]) -> Server:
    shared[0].answers.clear()
    shared[0].requests.clear()
    return shared[0]


@pytest.fixture
def aws(shared: tuple[Server, Aws]) -> Aws:
    return shared[1]


def describe(aws: Aws) -> Any:
    return aws.call("sagemaker", "describe_training_job", TrainingJobName="x")


def failure(aws: Aws) -> AwsError:
    with pytest.raises(AwsError) as told:
        describe(aws)
    return told.value


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_metric_that_is_not_finite_is_a_text_and_can_be_read(
    server: Server, aws: Aws, value: str
) -> None:
    metric = {"MetricName": "loss", "Value": value, "Timestamp": 1.7e9}
    server.answers.append((200, {**JOB, "FinalMetricDataList": [metric]}))
    assert describe(aws)["FinalMetricDataList"][0]["Value"] == value


def test_another_text_as_a_metric_is_no_answer_of_sagemaker(server: Server, aws: Aws) -> None:
    server.answers.append((200, {**JOB, "FinalMetricDataList": [{"Value": "0.5"}]}))
    assert "Value is '0.5', and not a number" in str(failure(aws))


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        ("ThrottlingException", 400, True),
        ("TooManyRequestsException", 429, True),
        ("InternalFailure", 500, True),
        ("ServiceUnavailable", 503, True),
        ("SomethingNew", 500, True),
        ("ResourceLimitExceeded", 400, False),
        ("ResourceInUse", 400, False),
        ("ValidationException", 400, False),
        ("AccessDeniedException", 400, False),
        ("ExpiredTokenException", 400, False),
        ("SomethingNew", 400, False),
    ],
)
def test_retryable_errors(
    server: Server, aws: Aws, code: str, status: int, retryable: bool
) -> None:
    server.refuse(code, "as it is", status)
    error = failure(aws)
    assert error.retryable is retryable
    assert error.code == code
    assert f"DescribeTrainingJob: {code}: as it is" in str(error)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("ExpiredTokenException", "expired", "sign in again"),
        ("UnrecognizedClientException", "invalid token", "does not know this access key"),
        ("InvalidSignatureException", "x", "clock"),
        ("ResourceLimitExceeded", "limit is 0", "Service Quotas"),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/u is not authorized to perform: sagemaker:Search on x",
            "needs the permission sagemaker:Search",
        ),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/u is not authorized to perform: iam:PassRole on x",
            "must trust sagemaker.amazonaws.com",
        ),
    ],
)
def test_common_errors_have_advice(
    server: Server, aws: Aws, code: str, message: str, advice: str
) -> None:
    server.refuse(code, message)
    assert advice in str(failure(aws))


def test_a_signed_request_is_not_shown(server: Server, aws: Aws) -> None:
    quoted = "The Canonical String was 'x-amz-security-token:FwoGZXIvYXdzEXAMPLE'"
    server.refuse("InvalidSignatureException", quoted)
    assert "FwoGZXIvYXdz" not in str(failure(aws))


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("ResourceNotFound", "there is none", True),
        ("ValidationException", "Requested resource not found.", True),
        ("ValidationException", "Could not find requested job with name: x", True),
        ("ValidationException", "Value at 'x' failed to satisfy constraint", False),
        ("AccessDeniedException", "not found", False),
    ],
)
def test_not_found_has_several_forms(
    server: Server, aws: Aws, code: str, message: str, missing: bool
) -> None:
    server.refuse(code, message)
    assert failure(aws).not_found is missing


def test_a_lost_response_is_retryable(server: Server, aws: Aws) -> None:
    server.answers.append((200, None))
    error = failure(aws)
    assert error.retryable
    assert "connection" in str(error)


def test_an_emulator_that_has_ended_does_not_come_back() -> None:
    gone = Server()
    gone.close()
    with pytest.raises(EmulatorEndedError) as told:
        describe(Aws("us-east-1", emulator=Emulator(gone.url, KEY)))
    assert not told.value.retryable


def test_throttled_calls_are_retried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SHORT_RETRY_SECONDS", 5.0)
    created = Aws("us-east-1", emulator=Emulator(server.url, KEY))
    server.refuse("ThrottlingException")
    server.refuse("ThrottlingException")
    describe(created)
    assert len(server.requests) == 3
    created.client("sagemaker").close()


def test_a_request_to_stop_ends_retries(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SHORT_RETRY_SECONDS", 3600.0)
    created = Aws(
        "us-east-1",
        emulator=Emulator(server.url, KEY),
        is_stopping=lambda: bool(server.requests),
    )
    server.refuse("ThrottlingException")
    assert failure(created).code == "ThrottlingException"
    assert len(server.requests) == 1
    created.client("sagemaker").close()


def test_requests_have_a_user_agent(server: Server, aws: Aws) -> None:
    describe(aws)
    assert f"cloudtune/{__version__}" in server.requests[0]["User-Agent"]


@pytest.fixture
def real_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure an account as a user has it, in files and variables."""
    (tmp_path / "config").write_text(
        "[profile work]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n"
        "[default]\nendpoint_url = http://127.0.0.1:9\nsdk_ua_app_id = real-team\n"
    )
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {REAL}\naws_secret_access_key = s\n"
        f"[default]\naws_access_key_id = {REAL}\naws_secret_access_key = s\n"
    )
    variables = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ACCESS_KEY_ID": REAL,
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "real-session-token",
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_DEFAULTS_MODE": "auto",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.mark.usefixtures("real_account")
@pytest.mark.parametrize("profile", [None, "work", "there-is-none"])
def test_nothing_of_a_real_account_reaches_an_emulator(server: Server, profile: str | None) -> None:
    created = Aws("us-east-1", profile=profile, emulator=Emulator(server.url, KEY))
    describe(created)
    created.call("s3", "head_bucket", Bucket="bucket")
    assert len(server.requests) == 2
    for request, service in zip(server.requests, ("sagemaker", "s3"), strict=True):
        assert f"Credential={KEY}/" in request["Authorization"]
        assert f"/us-east-1/{service}/" in request["Authorization"]
    told = str(server.requests)
    assert not any(word in told for word in (REAL, "real-session-token", "real-team"))
    created.client("sagemaker").close()
    created.client("s3").close()


def test_the_metadata_service_is_not_called(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Server()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    monkeypatch.setenv("NO_PROXY", "*")
    created = Aws("us-east-1", emulator=Emulator(server.url, KEY))
    describe(created)
    assert machine.requests == []
    created.client("sagemaker").close()
    machine.close()


@pytest.mark.parametrize("service", ["sagemaker", "s3", "sagemaker-metrics", "sts"])
def test_each_service_has_the_emulators_address(aws: Aws, server: Server, service: str) -> None:
    assert aws.client(service).meta.endpoint_url == server.url


def test_a_call_to_any_other_address_is_an_error(server: Server, aws: Aws) -> None:
    other = Server()

    def divert(request: Any, **_: Any) -> None:
        request.url = other.url + "/"

    events = aws.client("sagemaker").meta.events
    events.register("before-sign", divert)
    error = failure(aws)
    events.unregister("before-sign", divert)
    assert "only calls its emulator" in str(error)
    assert not error.retryable
    assert other.requests == []
    assert server.requests == []
    other.close()


@pytest.mark.usefixtures("real_account")
def test_a_profile_is_used_without_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.0)
    created = Aws("us-east-1", profile="work")
    with pytest.raises(AwsError, match="no connection"):
        describe(created)
    created.client("sagemaker").close()


def test_an_unknown_profile_is_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(AwsError, match="aws configure list-profiles"):
        Aws("us-east-1", profile="work")


def test_missing_credentials_are_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    error = failure(Aws("us-east-1"))
    assert "no credentials found" in str(error)
    assert error.affects_all_calls
    assert not error.retryable


def test_an_unknown_region_is_not_retryable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("NO_PROXY", "*")
    error = failure(Aws("us-esat-1"))
    assert "no region us-esat-1" in str(error)
    assert not error.retryable
    assert failure(Aws("us-east-1")).retryable


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"cloudtune\[sagemaker\]"):
        Aws("us-east-1")


def test_planning_needs_no_sdk(tmp_path: Path) -> None:
    program = """
import sys
for name in ("boto3", "botocore", "sagemaker", "moto"):
    sys.modules[name] = None
from cloudtune.planning.planner import plan
from cloudtune.study.study import Study
(open("train.py", "w")).close()
study = Study.model_validate({
    "objective": {"metric": "a", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py"},
    "providers": {"sagemaker": {}},
})
made = plan(study, "sagemaker", emulated=True)
assert made.request["HyperParameterTuningJobName"] == made.facts.job_name
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
