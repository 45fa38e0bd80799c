"""Who is let in, and how the emulator speaks with those who are."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cloudtune import provider
from cloudtune.emulator_kit.delays import Delays
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.emulator.app import SageMakerApp
from tests.in_process import KEY, URL, Faults, InProcess

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

SIMULATION = {"PolicyInputList": ["{}"], "ActionNames": ["s3:GetObject"]}


def send(
    emulator: Emulator, headers: dict[str, str], path: str = "/", body: str = "{}"
) -> tuple[int, dict[str, Any] | bytes]:
    """Send a request of our own making; return status and body."""
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=200)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(data) if data.startswith(b"{") else data


def signed(key: str, service: str = "sagemaker") -> dict[str, str]:
    scope = f"{key}/20261124/us-east-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host"}


def listing(key: str) -> dict[str, str]:
    return signed(key) | {"X-Amz-Target": "SageMaker.ListTrainingJobs"}


def test_the_key_is_demanded(emulator: Emulator) -> None:
    assert send(emulator, listing(emulator.key))[0] == 200
    status, said = send(emulator, listing("EMULATED" + "0" * 32))
    assert status == 403
    assert isinstance(said, dict)
    assert said["__type"] == "UnrecognizedClientException"
    assert send(emulator, {"X-Amz-Target": "SageMaker.ListTrainingJobs"})[0] == 403
    assert send(emulator, {})[0] == 403
    assert send(emulator, {}, "/moto-api/reset")[0] == 403


@pytest.mark.parametrize(
    "service", ["s3", "sts", "iam", "logs", "sagemaker", "cloudwatch", "ec2", "batch"]
)
def test_each_service_refuses_in_its_own_shape(emulator: Emulator, service: str) -> None:
    client = emulator.client(service, aws_access_key_id="EMULATEDWRONG")
    calls = {
        "s3": "list_buckets",
        "sts": "get_caller_identity",
        "iam": "list_roles",
        "logs": "describe_log_groups",
        "sagemaker": "list_training_jobs",
        "cloudwatch": "list_metrics",
        "ec2": "describe_subnets",
        "batch": "describe_job_queues",
    }
    codes = {"s3": "InvalidAccessKeyId", "sts": "InvalidClientTokenId", "ec2": "AuthFailure"}
    codes["iam"] = codes["sts"]
    with pytest.raises(client.exceptions.ClientError) as caught:
        getattr(client, calls[service])()
    error = caught.value.response
    assert error["Error"]["Code"] == codes.get(service, "UnrecognizedClientException")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
    ],
)
def test_web_pages_are_refused(emulator: Emulator, headers: dict[str, str]) -> None:
    assert send(emulator, listing(emulator.key) | headers)[0] == 403


def test_motos_own_interface_is_closed(emulator: Emulator) -> None:
    assert send(emulator, signed(emulator.key, "s3"), "/moto-api/reset")[0] == 404
    assert emulator.s3.list_buckets()["Buckets"]


def test_an_object_can_be_written_and_read_by_several_at_once(emulator: Emulator) -> None:
    body = b"x" * 100_000
    emulator.s3.put_object(Bucket="team-bucket", Key="shared", Body=body)

    def write_and_read(_: int) -> bytes:
        emulator.s3.put_object(Bucket="team-bucket", Key="shared", Body=body)
        return bytes(emulator.s3.get_object(Bucket="team-bucket", Key="shared")["Body"].read())

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write_and_read, range(200))) == {body}


def test_presigned_addresses_work_with_the_key_only(emulator: Emulator) -> None:
    emulator.s3.put_object(Bucket="team-bucket", Key="signed", Body=b"text")
    url = emulator.s3.generate_presigned_url(
        "get_object", Params={"Bucket": "team-bucket", "Key": "signed"}
    )
    path = url.removeprefix(emulator.url)
    host = emulator.url.removeprefix("http://")
    for wanted, target in ((200, path), (403, path.replace(emulator.key, "OTHER"))):
        connection = http.client.HTTPConnection(host, timeout=200)
        connection.request("GET", target)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == wanted


def test_other_services_are_there(emulator: Emulator) -> None:
    identity = emulator.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    iam = emulator.client("iam")
    iam.create_role(RoleName="tuning", AssumeRolePolicyDocument="{}")
    assert iam.get_role(RoleName="tuning")["Role"]["Arn"].endswith("role/tuning")


@pytest.mark.parametrize(
    ("service", "operation", "values", "refusal"),
    [
        ("sagemaker", "list_models", {}, ("AccessDeniedException", 400)),
        ("pricing", "get_products", {"ServiceCode": "x"}, ("AccessDeniedException", 400)),
        ("bedrock", "list_foundation_models", {}, ("AccessDeniedException", 403)),
        (
            *("cloudwatch", "list_managed_insight_rules", {"ResourceARN": "a"}),
            ("AccessDeniedException", 400),
        ),
        ("iam", "simulate_custom_policy", SIMULATION, ("AccessDenied", 403)),
        ("ec2", "describe_instance_topology", {}, ("UnauthorizedOperation", 403)),
        (
            *("sagemaker-featurestore-runtime", "get_record"),
            {"FeatureGroupName": "x", "RecordIdentifierValueAsString": "1"},
            ("AccessDeniedException", 403),
        ),
    ],
)
def test_operations_that_are_not_served_are_denied_in_the_form_of_their_service(
    emulator: Emulator,
    service: str,
    operation: str,
    values: dict[str, Any],
    refusal: tuple[str, int],
) -> None:
    client = emulator.client(service)
    with pytest.raises(client.exceptions.ClientError) as caught:
        getattr(client, operation)(**values)
    response = caught.value.response
    assert response["Error"]["Code"] == refusal[0]
    assert "is not authorized to perform" in response["Error"]["Message"]
    assert "this emulator" in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == refusal[1]


def test_a_role_that_was_not_created_here_may_exist(
    start_emulator: Callable[..., Emulator],
) -> None:
    iam = start_emulator().client("iam")
    arn = "arn:aws:iam::123456789012:role/mine"

    def codes() -> list[str]:
        found: list[str] = []
        for call, members in (
            (iam.get_role, {"RoleName": "mine"}),
            (
                iam.simulate_principal_policy,
                {"PolicySourceArn": arn, "ActionNames": ["s3:GetObject"]},
            ),
        ):
            with pytest.raises(iam.exceptions.ClientError) as caught:
                call(**members)
            found.append(caught.value.response["Error"]["Code"])
        return found

    assert codes() == ["AccessDenied", "AccessDenied"]
    iam.create_role(RoleName="other", AssumeRolePolicyDocument="{}")
    assert codes() == ["NoSuchEntity", "NoSuchEntity"]


def test_an_operation_that_the_service_does_not_have(emulator: Emulator) -> None:
    headers = signed(emulator.key) | {"X-Amz-Target": "SageMaker.MakeCoffee"}
    status, answer = send(emulator, headers)
    assert status == 400
    assert isinstance(answer, dict)
    assert answer["__type"] == "UnknownOperationException"


def test_missing_objects_stay_missing(emulator: Emulator) -> None:
    for call in ("head_object", "get_object"):
        with pytest.raises(emulator.s3.exceptions.ClientError) as caught:
            getattr(emulator.s3, call)(Bucket="team-bucket", Key="missing.html")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(emulator.s3.exceptions.ClientError) as caught:
        emulator.s3.head_bucket(Bucket="missing-bucket")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_list_in_which_moto_misses_an_object_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call has just removed it."""
    in_process = InProcess(monkeypatch)
    in_process.serve_boto3()
    in_process.app = SageMakerApp(tmp_path, Delays(1e9), Faults(), URL, KEY)
    backend: Any = import_module("moto.s3.models").S3Backend
    lists = [KeyError("removed"), RuntimeError("dictionary changed size during iteration")]
    real = backend.list_objects

    def list_objects(*arguments: Any, **options: Any) -> Any:
        if lists:
            raise lists.pop()
        return real(*arguments, **options)

    monkeypatch.setattr(backend, "list_objects", list_objects)
    s3 = Aws("us-east-1", emulator=provider.Emulator(URL, KEY)).client("s3")
    s3.create_bucket(Bucket="busy")
    assert s3.list_objects_v2(Bucket="busy")["Name"] == "busy"
    assert not lists
    s3.close()


def test_an_unknown_member_is_refused(emulator: Emulator) -> None:
    status, said = send(emulator, listing(emulator.key), body='{"MaxResult": 5}')
    assert (status, isinstance(said, dict) and said["__type"]) == (400, "ValidationException")
    assert isinstance(said, dict)
    assert "Unknown member 'MaxResult'" in said["message"]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("nonsense", "SerializationException", "not JSON"),
        ("[]", "SerializationException", "structure or map"),
        ("[" * 100_000, "SerializationException", "nested too deeply"),
        ('{"MaxResults": "5"}', "SerializationException", "STRING_VALUE can not be converted"),
        ('{"MaxResults": [5]}', "SerializationException", "Start of list found"),
        ('{"NameContains": 5}', "SerializationException", "NUMBER_VALUE can not be converted"),
        ('{"NameContains": true}', "SerializationException", "TRUE_VALUE can not be converted"),
        ('{"MaxResults": 101}', "ValidationException", "less than or equal to 100"),
        ('{"StatusEquals": "Done"}', "ValidationException", "enum value set: [InProgress"),
        ('{"NextToken": "?"}', "ValidationException", "NextToken"),
    ],
)
def test_a_request_is_checked_against_the_model(
    emulator: Emulator, body: str, code: str, message: str
) -> None:
    status, said = send(emulator, listing(emulator.key), body=body)
    assert status == 400
    assert isinstance(said, dict)
    assert said["__type"] == code
    assert message in said["message"]


def test_regions_are_apart(emulator: Emulator) -> None:
    name = emulator.tune()
    elsewhere = emulator.client("sagemaker", region_name="eu-central-1")
    with pytest.raises(elsewhere.exceptions.ResourceNotFound):
        elsewhere.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    emulator.tuned(name)


@pytest.mark.parametrize("region", ["..", ".", "us-esat", "jobs", "us-east-1%2F.."])
def test_a_region_is_no_path(emulator: Emulator, region: str) -> None:
    name = emulator.train()
    emulator.trained(name)
    scope = f"{emulator.key}/20261124/{region}/sagemaker/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host",
        "X-Amz-Target": "SageMaker.CreateTrainingJob",
    }
    request = emulator.definition()
    request["HyperParameters"] = request.pop("StaticHyperParameters")
    body = json.dumps({"TrainingJobName": "jobs", **request})
    status, answer = send(emulator, headers, body=body)
    assert status == 403
    assert isinstance(answer, dict)
    assert answer["__type"] == "InvalidSignatureException"
    assert emulator.log(name)


def test_the_environment_alone_is_enough(start_emulator: Callable[..., Emulator]) -> None:
    created = start_emulator()
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    env = {"PATH": os.environ["PATH"], **created.address["environment"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "123456789012"


def test_its_end_ends_the_scripts(start_emulator: Callable[..., Emulator]) -> None:
    created = start_emulator()
    code = "import os, time\nprint(f'pid={os.getpid()}=', flush=True)\ntime.sleep(100)"
    name = created.train(code)
    said = created.until(lambda: created.log(name), lambda text: text.count("=") == 2)
    pid = int(said.split("=")[1])
    assert created.end() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_reaper_ends_the_scripts_when_it_is_killed(
    start_emulator: Callable[..., Emulator],
) -> None:
    created = start_emulator()
    code = "import os, time\nprint(f'pid={os.getpid()}=', flush=True)\ntime.sleep(100)"
    name = created.train(code)
    said = created.until(lambda: created.log(name), lambda text: text.count("=") == 2)
    created.process.send_signal(signal.SIGKILL)
    created.process.wait()

    def gone() -> bool:
        try:
            status = psutil.Process(int(said.split("=")[1])).status()
        except psutil.NoSuchProcess:
            return True
        return bool(status == psutil.STATUS_ZOMBIE)

    created.until(gone, bool)
