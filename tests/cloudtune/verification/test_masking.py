"""A recording names nobody, whatever the service and the settings have in them."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.provider.call_record import Call, record_call, recorded_calls
from cloudtune.verification.recording import to_recordings

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
    assert answer.keys() == ANSWER.keys()
    assert answer["HyperParameterTuningJobStatus"] == "Failed"
    assert answer["TrainingJobStatusCounters"] == ANSWER["TrainingJobStatusCounters"]
    assert answer["CreationTime"] == ANSWER["CreationTime"]
    assert answer["FailureReason"].endswith("is not authorized")
    assert answer["RoleArn"].startswith("arn:aws:iam::")
    assert item["request"]["HyperParameterTuningJobName"] == answer["HyperParameterTuningJobName"]
    assert recording["emulated"] is True


def test_equal_polls_are_one() -> None:
    call = Call("Describe", {}, 200, {"name": "job-of-alice"}, 1.7e9)
    calls = [call, call, call]
    recording = to_recordings("vertex", calls, {"a": "job-of-alice"}, {}, emulated=False)["a"]
    (item,) = recording["sequence"]
    assert item["repeated"] == 2
    assert "emulated" not in recording


def test_calls_are_recorded_only_meanwhile() -> None:
    record_call("Before", {}, 200, {})
    with recorded_calls() as calls:
        record_call("During", {}, 200, {"list": [1]})
    record_call("After", {}, 200, {})
    assert [call.operation for call in calls] == ["During"]
