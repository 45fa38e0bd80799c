"""What policies of IAM allow."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune_sagemaker.emulator.policies import Decision, decide

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
PASS: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["iam:PassRole"],
    "Resource": "*",
    "Condition": {"StringEquals": {"iam:PassedToService": ["a", "b"]}},
}


@pytest.mark.parametrize(
    ("statements", "action", "resource", "decision"),
    [
        (ALLOW, "s3:GetObject", "arn:aws:s3:::b/x/y", "allowed"),
        ([ALLOW], "S3:getobject", "arn:aws:s3:::b/", "allowed"),
        ([ALLOW], "s3:GetObject", "arn:aws:s3:::bb/x", "implicitDeny"),
        ([ALLOW], "s3:PutObject", "arn:aws:s3:::b/x", "implicitDeny"),
        ([ALLOW, {**ALLOW, "Effect": "Deny"}], "s3:GetObject", "arn:aws:s3:::b/x", "explicitDeny"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "s3:X", "*", "allowed"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "iam:X", "*", "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "a?c"}, "x:Y", "abc", "implicitDeny"),
        (PASS, "iam:PassRole", "*", "allowed"),
        ({**PASS, "Condition": {"Bool": {"x": "true"}}}, "iam:PassRole", "*", "implicitDeny"),
        ([], "s3:GetObject", "*", "implicitDeny"),
    ],
)
def test_decisions(statements: Any, action: str, resource: str, decision: Decision) -> None:
    policies = [{"Statement": statements}]
    assert decide(policies, action, resource, {"iam:passedtoservice": "b"}) == decision


def test_a_condition_without_its_key_does_not_hold() -> None:
    assert decide([{"Statement": PASS}], "iam:PassRole", "*") == "implicitDeny"
