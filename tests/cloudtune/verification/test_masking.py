"""A recording names nobody, whatever the service and the settings have in them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from cloudtune.provider.call_record import Call, record_call, recorded_calls
from cloudtune.verification.masking import known
from cloudtune.verification.recording import to_recordings
from scripts import service_words

HOSTILE = (
    *("alice", "bob@corp.example", "111122223333", "AKIAIOSFODNN7EXAMPLE", "10.1.2.3"),
    *("hunter2secret", "acme-prod", "role-of-alice", "vault.corp.example", "zoë"),
)
"""Names, accounts, addresses and secrets."""
ROLE = "arn:aws:iam::111122223333:role/role-of-alice"
ANSWER: dict[str, Any] = {
    "HyperParameterTuningJobName": "job-of-alice",
    "HyperParameterTuningJobStatus": "Failed",
    "TrainingJobStatusCounters": {"Completed": 1, "InProgress": 0},
    "CreationTime": "2026-11-30T09:00:00.123",
    "RoleArn": ROLE,
    "FailureReason": f"User: {ROLE} of acme-prod at 10.1.2.3 (bob@corp.example) is not authorized\n"
    "Traceback: hunter2secret",
    "StaticHyperParameters": {"alice": "hunter2secret", "acme-prod": "zoë"},
    "Tags": [{"Key": "owner", "Value": "alice"}, {"Key": "vault.corp.example", "Value": "1"}],
    "OutputDataConfig": {
        "S3OutputPath": "s3://acme-prod/alice/output",
        "KmsKeyId": "hunter2secret",
    },
    "trainingTaskMetadata": {"state": "alice@corp.example", "code": "AKIAIOSFODNN7EXAMPLE"},
    "labels": {"team-of-alice": "acme-prod"},
    "serviceAccount": "alice-acme-1",
    "accountId": 111122223333,
    "error": {"code": 403, "message": "key AKIAIOSFODNN7EXAMPLE of 'zoë' via vault.corp.example"},
}


def recorded(answer: Any) -> dict[str, Any]:
    calls = [Call("Describe", {"HyperParameterTuningJobName": "job-of-alice"}, 200, answer, 1.7e9)]
    jobs = {"complete": "job-of-alice"}
    settings = {"role_arn": ROLE, "bucket": "acme-prod"}
    return to_recordings("sagemaker", calls, jobs, settings, emulated=True)["complete"]


def test_no_name_is_left() -> None:
    text = json.dumps(recorded(ANSWER), ensure_ascii=False).lower()
    assert [each for each in HOSTILE if each.lower() in text] == []


def test_the_form_and_the_words_of_the_service_stay() -> None:
    recording = recorded(ANSWER)
    (item,) = recording["sequence"]
    answer = item["answer"]
    unknown = {"trainingTaskMetadata", "accountId"}
    assert ANSWER.keys() - answer.keys() == unknown
    assert len(answer) == len(ANSWER)
    assert answer["HyperParameterTuningJobStatus"] == "Failed"
    assert answer["TrainingJobStatusCounters"] == ANSWER["TrainingJobStatusCounters"]
    assert answer["CreationTime"] == ANSWER["CreationTime"]
    assert answer["FailureReason"].endswith("is not authorized")
    assert answer["RoleArn"].startswith("arn:aws:iam::")
    assert item["request"]["HyperParameterTuningJobName"] == answer["HyperParameterTuningJobName"]
    assert recording["emulated"] is True


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("User bob is not authorized", "User # is not authorized"),
        ("Training job failed: Bob", "Training job failed: #"),
        (
            "The job of May is not authorized. Training failed",
            "The job of # is not authorized. Training failed",
        ),
        ("The job: Will failed", "The job: # failed"),
        ("The job is zoë's", "The job is #"),
        ("Иван is not authorized, nor is 山田", "# is not authorized, # is #"),
        ("key: aGVsbG8gd29ybGQ is not allowed", "key: # is not allowed"),
        ("key aGVsbG8gd29ybGQ= or c2Vj+cmV0/Cg==", "key #= or #"),
        ("mail to bob@corp.example failed", "# to # failed"),
        ("bob at corp dot example is not allowed", "# at # # # is not allowed"),
        ("the role arn:aws:iam::111122223333:role/bob failed", "the role # failed"),
        ("vault.corp.example is not available", "# is not available"),
        ("the server bobs-laptop is not found", "the server # is not found"),
        ("the server training.job.acme is not found", "the server # is not found"),
        ("can't find the job of bob, can't read", "can#t read"),
        ("password=hunter is not allowed", "# is not allowed"),
        ("password= hunter is not allowed", "#= # is not allowed"),
        ("call +44 20 79 46 09 58", "# # #"),
        ("_bob_ in __init__ failed", "# in # failed"),
        ("bob\tAcmeCorp\x00bob failed", "#\t#\x00# failed"),
        ("No training job succeeded after 5 attempts", None),
        ("The user-specified limit MaxRuntimeInSeconds was exceeded.", None),
        ("Training job failed\nTraceback of bob", "Training job failed"),
    ],
)
def test_a_message_keeps_only_words_of_the_services(message: str, shown: str | None) -> None:
    (item,) = recorded({"name": "job-of-alice", "FailureReason": message})["sequence"]
    assert item["answer"]["FailureReason"] == (message if shown is None else shown)


@pytest.mark.parametrize(
    "field",
    ["state", "type", "@type", "Status", "TrainingJobStatus", "code", "goal", "algorithm", "level"],
)
@pytest.mark.parametrize("value", ["bob", "Bob", "BOB_STATE", "bob.corp", "Ольга", "Ym9i"])
def test_a_field_of_a_state_keeps_only_known_states(field: str, value: str) -> None:
    (item,) = recorded({"name": "job-of-alice", field: value, "list": [{field: value}]})["sequence"]
    assert value not in json.dumps(item, ensure_ascii=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "JOB_STATE_QUEUED"),
        ("TrainingJobStatus", "InProgress"),
        ("InstanceType", "ml.m5.large"),
        ("machineType", "n1-standard-4"),
        ("@type", "type.googleapis.com/google.protobuf.Empty"),
        ("type", "data_asset"),
    ],
)
def test_a_known_state_stays(field: str, value: str) -> None:
    (item,) = recorded({"name": "job-of-alice", field: value})["sequence"]
    assert item["answer"][field] == value


@pytest.mark.parametrize(
    "document",
    [
        {"bob": 1},
        {"annotations": {"bob": {"acme": "acme"}}},
        {"labels": {"state": "bob"}, "tags": [{"bob": "acme"}]},
        {"ml_metrics": {"bob": 0.5}},
        {"HyperParameters": {"bob": "acme", "acme": {"bob": "bob"}}},
        {"InstanceType": "ml.bob.large", "machineType": "bob-standard-4"},
        {"Tags": [{"Key": "bob", "Value": "acme"}], "state": ["bob", {"acme": "bob"}]},
        {"message": {"bob": "acme"}, "text": ["bob", ["acme"]]},
    ],
    ids=str,
)
def test_keys_and_texts_of_unknown_maps_are_masked(document: dict[str, Any]) -> None:
    text = json.dumps(recorded({"name": "job-of-alice", **document})).lower()
    assert "bob" not in text
    assert "acme" not in text


def in_pairs(mark: str, text: str) -> str:
    return mark.join(re.findall("..?", text))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "reversed": lambda text: text[::-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
    "hex in pairs": lambda text: text.encode().hex(" "),
    "URL": lambda text: quote(text, safe=""),
    "URL in full": lambda text: "".join(f"%{each:02x}" for each in text.encode()),
    "HTML": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "JSON": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    **{
        f"pairs with {mark!r}": partial(in_pairs, mark)
        for mark in (" ", ",", ";", "-", ".", "|", "_", ", ", " and ")
    },
}


def documents(text: str) -> dict[str, Any]:
    """Return a text wherever a service may repeat it."""
    message = {"message": f"User {text} is not authorized", "details": [{"metadata": {text: text}}]}
    return {
        "FailureReason": text,
        "RoleArn": text,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:{text}:{text}:{text}/{text}",
        "OutputDataConfig": {"S3OutputPath": f"s3://{text}/output/{text}"},
        "TrainingImage": f"{text}.dkr.ecr.us-east-1.amazonaws.com/{text}:{text}",
        "Tags": [{"Key": "owner", "Value": text}, {"Key": text, "Value": "1"}],
        "Environment": {"X": text, text: "1"},
        "TrainingJobStatus": text,
        "InstanceType": f"ml.{text}.large",
        "SecondaryStatusTransitions": [{"Status": text, "StatusMessage": text}],
        "error": {"code": 7, **message},
        "labels": {text: text},
        "env": [{"name": text, "value": text}],
        "args": [f"--x={text}", text],
        "network": f"projects/{text}/global/networks/{text}",
        "webAccessUris": {text: text},
        "entity": {"name": text, "custom": {text: text, "n": [text]}, "tags": [text]},
        "path": f"/ml/v4/deployment_jobs/{text}?space_id={text}",
        "query": {text: text},
        "errors": [{"code": text, "more_info": text, **message}],
    }


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_passes_a_name(encoding: str) -> None:
    for secret in (*HOSTILE, ROLE, "482913"):
        text = ENCODINGS[encoding](secret)
        for field, document in documents(text).items():
            (item,) = recorded({"name": "job-of-alice", field: document})["sequence"]
            answer = json.dumps(item["answer"], ensure_ascii=False).lower()
            assert text.lower() not in answer, field


@pytest.mark.parametrize("field", ["labels", "Tags", "tags", "Environment", "env", "custom"])
@pytest.mark.parametrize(
    "value", [482913, 4829.13, 87, "482913", "1990-05-17T00:00:00Z", "48.2913", "87"]
)
def test_numbers_of_the_user_are_masked(field: str, value: object) -> None:
    (item,) = recorded({"name": "job-of-alice", field: [{"value": value}]})["sequence"]
    assert str(value) not in json.dumps(item["answer"])
    assert type(next(iter(item["answer"][field][0].values()))) in (type(value), int)


@pytest.mark.parametrize(
    "document",
    [
        {"HyperParameters": {"pin": "4711"}, "StaticHyperParameters": {"pin": "47.11"}},
        {"SearchExpression": {"Filters": [{"Name": "Tags.pin", "Values": ["4711", "47.11"]}]}},
        {"TrainingJobName": "2024-01-01T00:00:47.11Z", "displayName": "2024-01-01T00:00:47.11"},
        {"annotations": {"born_at": "2024-01-01T00:00:47.11Z"}, "accountId": 4711, "x": [4711.0]},
    ],
    ids=str,
)
def test_numbers_and_times_that_are_names_are_masked(document: dict[str, Any]) -> None:
    (item,) = recorded({"name": "job-of-alice", **document})["sequence"]
    assert not re.search(r"47\.?11", json.dumps(item["answer"]))


@pytest.mark.parametrize(
    "field", ["TrainingJobName", "displayName", "name", "projectId", "S3OutputPath", "Values", "x"]
)
@pytest.mark.parametrize("value", ["7", "47", "-4"])
def test_a_name_of_one_or_two_digits_is_masked(field: str, value: str) -> None:
    (item,) = recorded({"a": "job-of-alice", field: value, "list": [{field: [value]}]})["sequence"]
    assert f'"{value}"' not in json.dumps(item["answer"])


def test_a_number_of_a_trial_or_a_parameter_stays() -> None:
    answer = {"name": "job-of-alice", "trials": [{"id": "7"}], "HyperParameters": {"n": "4"}}
    (item,) = recorded(answer)["sequence"]
    assert item["answer"]["trials"] == [{"id": "7"}]
    assert [*item["answer"]["HyperParameters"].values()] == ["4"]


def test_messages_have_no_word_of_the_settings() -> None:
    calls = [Call("Describe", {}, 200, {"name": "job", "FailureReason": "The model failed"}, 1.7e9)]
    for name in ("model", "the-model@corp.example", "projects/model"):
        settings = {"service_account": name}
        recording = to_recordings("vertex", calls, {"a": "job"}, settings, emulated=True)["a"]
        assert recording["sequence"][0]["answer"]["FailureReason"] == "The # failed"


@pytest.mark.parametrize("account", [111122223333, 111122223333.0, -1.11122223333e11])
def test_an_account_is_masked_in_every_form_of_number(account: float) -> None:
    (item,) = recorded({"name": "job-of-alice", "id": account, "value": [account, 0.5, 3]})[
        "sequence"
    ]
    assert "11112222" not in json.dumps(item).replace(".", "")
    assert item["answer"]["value"][1:] == [0.5, 3]


def test_a_key_of_a_user_that_is_also_a_field_is_masked() -> None:
    (item,) = recorded({"name": "job-of-alice", "labels": {"state": "x"}})["sequence"]
    assert "state" not in item["answer"]["labels"]


def test_the_known_words_are_those_of_the_recordings() -> None:
    for kind, words in service_words.recorded_words().items():
        assert words <= known(kind), "run scripts/service_words.py"


def test_equal_polls_are_one() -> None:
    call = Call("Describe", {}, 200, {"name": "job-of-alice"}, 1.7e9)
    calls = [call, call, call]
    recording = to_recordings("vertex", calls, {"a": "job-of-alice"}, {}, emulated=False)["a"]
    (item,) = recording["sequence"]
    assert item["repeated"] == 2
    assert "emulated" not in recording


def test_calls_to_another_address_are_no_evidence() -> None:
    calls = [
        Call("Describe", {}, 200, {"name": "job"}, 1.7e9, is_at_service=each)
        for each in (True, False)
    ]
    recording = to_recordings("sagemaker", calls, {"a": "job"}, {}, emulated=False)["a"]
    assert recording["other_address"] is True
    recording = to_recordings("sagemaker", calls, {"a": "job"}, {}, emulated=True)["a"]
    assert recording["emulated"] is True
    assert "other_address" not in recording


def test_calls_are_recorded_only_meanwhile() -> None:
    record_call("Before", {}, 200, {})
    with recorded_calls() as calls:
        record_call("During", {}, 200, {"list": [1]})
    record_call("After", {}, 200, {})
    assert [call.operation for call in calls] == ["During"]
