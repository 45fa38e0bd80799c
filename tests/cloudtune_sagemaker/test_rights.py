"""The tables of rights: what whole runs use is in them, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.study.schema import Mode
from cloudtune_sagemaker import rights
from cloudtune_sagemaker.emulator.policies import decide
from cloudtune_sagemaker.policy import policies
from tests.cloudtune_sagemaker.account.conftest import account_plan
from tests.cloudtune_sagemaker.support import ROLE, study_of
from tests.run_calls import RunCalls


@pytest.mark.slow
class TestRights(RunCalls):
    name = "sagemaker"
    settings: Mapping[str, Any] = {"role_arn": ROLE, "checkpoints": True}
    create_operations: Mapping[Mode, str] = {
        "managed": "CreateHyperParameterTuningJob",
        "driven": "CreateTrainingJob",
    }
    optional = ("Search",)

    @pytest.mark.parametrize("mode", ["managed", "driven"])
    def test_runs_use_exactly_the_rights_of_the_tables(self, mode: Mode) -> None:
        planned, calls = self.calls_of_runs(mode)
        for by, table in (
            ("client", rights.caller_rights(planned)),
            ("job", rights.role_rights(planned)),
        ):
            used = {call.action for call in calls if call.by == by}
            assert used == {right.action for right in table if not right.unseen}
            policy = rights.policy_document(planned, table)
            refused = [
                call
                for call in calls
                if call.by == by
                and decide([policy], call.action, call.resource, rights.PASSED_TO) != "allowed"
            ]
            assert refused == []


def test_inputs_keys_and_networks_need_more(tmp_path: Path) -> None:
    trial = {"script": "train.py", "inputs": {"train": {"sagemaker": "s3://data/train/"}}}
    planned = account_plan(
        tmp_path,
        over={"trial": trial},
        kms_key="1234abcd-12ab-34cd-56ef-1234567890ab",
        volume_kms_key="arn:aws:kms:us-east-1:123456789012:key/disk",
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
    )
    policy = rights.policy_document(planned, rights.role_rights(planned))
    for action, resource in {
        "s3:ListBucket": "arn:aws:s3:::data",
        "s3:GetObject": "arn:aws:s3:::data/train/a.csv",
        "kms:GenerateDataKey": "arn:aws:kms:us-east-1:123456789012:key/"
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "kms:CreateGrant": "arn:aws:kms:us-east-1:123456789012:key/disk",
        "ec2:CreateNetworkInterface": "*",
    }.items():
        assert decide([policy], action, resource) == "allowed", action
    assert decide([policy], "s3:PutObject", "arn:aws:s3:::data/train/a.csv") == "implicitDeny"
    assert decide([policy], "s3:GetObject", "arn:aws:s3:::data/other/a.csv") == "implicitDeny"


def test_policies_are_documents_with_the_names_of_the_plan(tmp_path: Path) -> None:
    planned = account_plan(tmp_path, "driven", bucket="team-bucket")
    printed = list(policies(planned))
    texts = [json.loads(each.text) for each in printed]
    assert all(text["Version"] == "2012-10-17" for text in texts)
    assert len(printed) == 4
    caller = texts[0]
    assert decide([caller], "sagemaker:CreateTrainingJob", _job("plain-1")) == "allowed"
    assert decide([caller], "sagemaker:CreateTrainingJob", _job("other-1")) == "implicitDeny"
    assert decide([caller], "s3:CreateBucket", "arn:aws:s3:::team-bucket") == "implicitDeny"
    assert decide([caller], "iam:PassRole", ROLE) == "implicitDeny"
    assert decide([caller], "iam:PassRole", ROLE, rights.PASSED_TO) == "allowed"
    assert "{{" not in "".join(each.text for each in printed)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("eu-west-1", "aws"),
    ],
)
def test_unknown_names_are_placeholders(tmp_path: Path, region: str, partition: str) -> None:
    study = study_of(role_arn=None, region=region)
    text = next(iter(policies(plan(study, "sagemaker", base=tmp_path)))).text
    assert f"arn:{partition}:sagemaker:{region}:{{{{account}}}}:" in text


def _job(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}"
