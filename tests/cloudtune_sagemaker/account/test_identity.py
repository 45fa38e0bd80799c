"""Callers of all kinds, and what keeps AWS from knowing them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.diagnostics import Check
from cloudtune.planning.planner import plan
from cloudtune_sagemaker.account import check_account
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError, service_error
from tests.account_checks import by_id, only
from tests.cloudtune_sagemaker.support import study_of

SKEWED = formatdate(time.time() + 3600, usegmt=True)


class Stub:
    """AWS with given responses; each other call is denied."""

    emulated = False

    def __init__(self, responses: Mapping[str, Any], source: Any = ("env", "default")) -> None:
        self._responses = responses
        self._source = source
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def credentials_source(self) -> Any:
        if isinstance(self._source, Exception):
            raise self._source
        return self._source

    def call(self, _service: str, operation: str, **members: Any) -> Any:
        self.calls.append((operation, members))
        response = self._responses.get(operation)
        if response is None:
            raise service_error(operation, "AccessDenied", "no", 403)
        if isinstance(response, Exception):
            raise response
        return response

    def find(self, operation: str, **members: Any) -> Any:
        return self.call("sagemaker", operation, **members)

    def pages(self, service: str, operation: str, *_: object, **members: Any) -> Iterator[Any]:
        yield self.call(service, operation, **members)

    def search_training_jobs(self, *_: object, **members: Any) -> Iterator[Any]:
        yield self.call("sagemaker", "search", **members)


def checks_of(aws: Stub, folder: Path, **settings: Any) -> list[Check]:
    (folder / "train.py").touch()
    planned = plan(study_of(**settings), "sagemaker", base=folder)
    return list(check_account(cast("Aws", aws), planned))


def identity(arn: str) -> dict[str, Any]:
    return {"get_caller_identity": {"Arn": arn, "Account": arn.split(":")[4]}}


def test_without_credentials(tmp_path: Path) -> None:
    check = only(checks_of(Stub({}, None), tmp_path), "credentials", "error")
    assert "boto3 finds no credentials; nothing else" in check.message
    assert check.path == "providers.sagemaker.profile"
    expired = AwsError("the credentials: the sign-in has expired; run `aws sso login`")
    check = only(checks_of(Stub({}, expired), tmp_path), "credentials", "error")
    assert "the sign-in has expired" in check.message


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("InvalidClientTokenId", "a region that is not enabled for the account, as us-east-1"),
        ("SignatureDoesNotMatch", "the clock of this machine"),
        ("ExpiredToken", "sign in again"),
    ],
)
def test_refused_credentials(tmp_path: Path, code: str, fix: str) -> None:
    refusal = service_error("GetCallerIdentity", code, "refused", 403)
    aws = Stub({"get_caller_identity": refusal}, ("sso", "team"))
    check = only(checks_of(aws, tmp_path), "credentials", "error")
    assert "from IAM Identity Center, profile team" in check.message
    assert "resume" not in check.message
    assert fix in check.fix


def test_a_clock_so_wrong_that_the_signature_has_expired(tmp_path: Path) -> None:
    refusal = service_error("GetCallerIdentity", "SignatureDoesNotMatch", "", 403, SKEWED)
    checks = checks_of(Stub({"get_caller_identity": refusal}), tmp_path)
    assert "seconds behind the service's" in only(checks, "clock", "error").message


def test_a_service_that_cannot_be_reached(tmp_path: Path) -> None:
    failure = AwsError("GetCallerIdentity: no connection; check the network", retryable=True)
    with pytest.raises(AwsError, match="no connection"):
        checks_of(Stub({"get_caller_identity": failure}), tmp_path)


def test_a_role_of_another_account(tmp_path: Path) -> None:
    aws = Stub(identity("arn:aws:iam::999999999999:user/me"))
    check = only(checks_of(aws, tmp_path), "role-account", "error")
    assert "the role is in account 123456789012" in check.message
    assert "get_role" not in [operation for operation, _ in aws.calls]


def test_the_root_user(tmp_path: Path) -> None:
    aws = Stub(identity("arn:aws:iam::123456789012:root"))
    checks = checks_of(aws, tmp_path)
    assert only(checks, "credentials-root", "warning")
    assert by_id(checks, "caller-rights") == []


def test_an_assumed_role_is_simulated_with_its_path(tmp_path: Path) -> None:
    arn = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Dev"
    role = {"Role": {"Arn": arn, "RoleName": "Dev"}}
    allowed: dict[str, Any] = {"EvaluationResults": []}
    caller = identity("arn:aws:sts::123456789012:assumed-role/Dev/me")
    aws = Stub(caller | {"get_role": role, "simulate_principal_policy": allowed})
    checks = checks_of(aws, tmp_path, region="us-east-1")
    assert only(checks, "caller-rights", "ok")
    simulated = [members for name, members in aws.calls if name == "simulate_principal_policy"]
    assert {each["PolicySourceArn"] for each in simulated} == {arn}


def test_an_assumed_role_that_cannot_be_read(tmp_path: Path) -> None:
    aws = Stub(identity("arn:aws:sts::123456789012:assumed-role/Dev/me"))
    check = only(checks_of(aws, tmp_path), "caller-rights", "unknown")
    assert "iam:GetRole on the role Dev" in check.fix


def test_quotas_that_were_never_changed_have_their_default(tmp_path: Path) -> None:
    quota = {"QuotaName": "ml.m5.large for training job usage", "QuotaCode": "L-1", "Value": 1.0}
    answers: dict[str, Any] = {
        "list_service_quotas": {"Quotas": []},
        "list_aws_default_service_quotas": {"Quotas": [quota]},
    }
    aws = Stub(identity("arn:aws:iam::123456789012:user/me") | answers)
    checks = by_id(checks_of(aws, tmp_path), "quota")
    assert [check.severity for check in checks] == ["error", "unknown"]
    assert "is 1, and the study runs 2 instances" in checks[0].message
    assert "Number of instances across all training jobs" in checks[1].message
