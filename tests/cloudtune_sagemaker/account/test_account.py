"""Each finding of the account, through boto3 and with the fault that causes it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_sagemaker import rights
from tests.account_checks import always, by_id, only
from tests.cloudtune_sagemaker.account.conftest import Account, account_plan
from tests.cloudtune_sagemaker.support import ROLE

Start = Callable[..., Account]
DOCUMENT: Mapping[str, Any] = {"Version": "2012-10-17"}


def calls_of(account: Account) -> list[dict[str, str]]:
    return [json.loads(line) for line in (account.folder / "calls.jsonl").read_text().splitlines()]


def role_policy(folder: Path, **changes: Any) -> dict[str, Any]:
    plan = account_plan(folder, **changes)
    return rights.policy_document(plan, rights.role_rights(plan))


def test_a_healthy_account(team_account: Account, tmp_path: Path) -> None:
    team_account.create_role(role_policy(tmp_path, bucket="mine"))
    team_account.s3.create_bucket(Bucket="mine")
    checks = team_account.checks(tmp_path, bucket="mine")
    assert [str(check) for check in checks if check.severity != "ok"] == []
    texts = "; ".join(check.message for check in checks if check.severity == "ok")
    assert "arn:aws:iam::123456789012:user/emulator, from the key of the emulator" in texts
    assert "role tuning exists and trusts SageMaker" in texts
    assert "bucket mine exists in us-east-1" in texts
    assert "image train:1 exists" in texts
    assert team_account.key not in repr(checks)


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_the_printed_policy_of_the_role_suffices(
    team_account: Account, tmp_path: Path, mode: Any
) -> None:
    team_account.create_role(role_policy(tmp_path))
    checks = team_account.checks(tmp_path, mode)
    count = len(rights.role_rights(account_plan(tmp_path, mode)))
    assert only(checks, "role-rights", "ok").message == f"all {count} rights of the role"
    assert only(checks, "job-name", "ok")


def test_calls_create_nothing(account: Account, tmp_path: Path) -> None:
    before = calls_of(account)
    account.checks(tmp_path, bucket="nothing-is-created")
    new = {call["action"] for call in calls_of(account) if call not in before}
    reading = {"sts:GetCallerIdentity", "s3:ListBucket", "sagemaker:Search"}
    assert new <= reading | {each.action for each in rights.DOCTOR} | {
        "sagemaker:DescribeHyperParameterTuningJob"
    }


def test_expired_credentials_end_the_checks(start_account: Start, tmp_path: Path) -> None:
    account = start_account(faults=always("GetCallerIdentity", effect="expire"))
    checks = account.checks(tmp_path)
    check = only(checks, "credentials", "error")
    assert "have expired" in check.message
    assert "nothing else of the account could be checked" in check.message
    assert check.command.startswith("aws sso login")
    assert [each.id for each in checks] == ["sdk-version", "credentials"]


def test_an_unknown_role(account: Account, tmp_path: Path) -> None:
    check = only(account.checks(tmp_path), "role", "unknown")
    assert check.path == "providers.sagemaker.role_arn"
    assert check.fix == "this emulator knows only what was created in it"


def test_what_cannot_be_asked_is_unknown_with_the_right_that_is_missing(
    start_account: Start, tmp_path: Path
) -> None:
    reading = ("GetRole", "SimulatePrincipalPolicy", "DescribeImages", "ListServiceQuotas")
    account = start_account(faults=always(*reading, "HeadBucket"))
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3-cpu-py311"
    trial = {"script": "train.py", "inputs": {"train": {"sagemaker": "s3://data/train/"}}}
    checks = account.checks(tmp_path, image=image, over={"trial": trial})
    assert f"lacks iam:GetRole on {ROLE}" in only(checks, "role", "unknown").fix
    assert "iam:SimulatePrincipalPolicy" in only(checks, "caller-rights", "unknown").fix
    assert "--policy" in only(checks, "caller-rights", "unknown").fix
    unknown_image = only(checks, "image", "unknown")
    assert "ecr:DescribeImages" in unknown_image.fix
    assert "belongs to account 763104351884" in unknown_image.fix
    quota = only(checks, "quota", "unknown")
    assert "servicequotas:ListServiceQuotas; see Service Quotas" in quota.fix
    bucket = only(checks, "bucket", "unknown")
    assert bucket.path == "trial.inputs.train"
    assert "s3:ListBucket on data" in bucket.fix
    errors = [check for check in checks if check.severity == "error"]
    assert [check.id for check in errors] == ["bucket"]
    assert "s3:ListBucket" in errors[0].message


def test_a_missing_role(team_account: Account, tmp_path: Path) -> None:
    team_account.delete_role()
    check = only(team_account.checks(tmp_path), "role", "error")
    assert "no role tuning" in check.message
    words = shlex.split(check.command)
    assert words[:4] == ["aws", "iam", "create-role", "--role-name"]
    assert json.loads(words[-1]) == rights.trust_policy()


def test_a_role_with_a_path(team_account: Account, tmp_path: Path) -> None:
    team_account.create_role(path="/team/")
    check = only(team_account.checks(tmp_path), "role", "error")
    assert "role/team/tuning" in check.message


@pytest.mark.parametrize(
    "trust",
    [
        {"Statement": []},
        {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ec2.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ]
        },
        {"Statement": [{**rights.trust_policy()["Statement"][0], "Effect": "Deny"}]},
    ],
)
def test_a_role_that_sagemaker_may_not_assume(
    team_account: Account, tmp_path: Path, trust: Mapping[str, Any]
) -> None:
    team_account.create_role(trust=trust)
    check = only(team_account.checks(tmp_path), "role-trust", "error")
    assert "sts:AssumeRole" in check.message
    words = shlex.split(check.command)
    assert words[2] == "update-assume-role-policy"
    assert json.loads(words[-1]) == rights.trust_policy()


def test_trust_under_a_condition(team_account: Account, tmp_path: Path) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    statement = {**rights.trust_policy()["Statement"][0], "Condition": condition}
    team_account.create_role(trust={"Statement": [statement]})
    assert only(team_account.checks(tmp_path), "role-trust", "warning")


def test_a_role_that_lacks_rights(team_account: Account, tmp_path: Path) -> None:
    policy = role_policy(tmp_path)
    for statement in policy["Statement"]:
        actions = statement["Action"]
        statement["Action"] = [
            each
            for each in ([actions] if isinstance(actions, str) else actions)
            if each not in {"s3:PutObject", "logs:PutLogEvents", "s3:DeleteObject"}
        ]
    team_account.create_role(policy)
    checks = team_account.checks(tmp_path)
    check = only(checks, "role-rights", "error")
    assert check.message == "the role tuning lacks s3:PutObject, logs:PutLogEvents"
    assert json.loads(shlex.split(check.command)[-1]) == role_policy(tmp_path)
    assert "s3:DeleteObject" in only(checks, "role-rights", "warning").message


def test_a_bucket_may_grant_what_the_role_lacks(team_account: Account, tmp_path: Path) -> None:
    policy = role_policy(tmp_path, bucket="team-bucket")
    others = [each for each in policy["Statement"] if each["Resource"] == "*"]
    team_account.create_role({**DOCUMENT, "Statement": others})
    grant = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:*", "Resource": "*"}
    without_ecr = team_account.checks(tmp_path, bucket="team-bucket", image="x.example/train:1")
    assert only(without_ecr, "role-rights", "error")
    team_account.s3.put_bucket_policy(
        Bucket="team-bucket", Policy=json.dumps({**DOCUMENT, "Statement": [grant]})
    )
    checks = team_account.checks(tmp_path, bucket="team-bucket", image="x.example/train:1")
    assert "own policy may grant it" in by_id(checks, "role-rights")[-1].message


def test_a_caller_that_lacks_rights(start_account: Start, tmp_path: Path) -> None:
    account = start_account(
        faults=always("CreateHyperParameterTuningJob", "PassRole", "PutObject", "Search")
    )
    checks = account.checks(tmp_path)
    check = only(checks, "caller-rights", "error")
    lacking = {"sagemaker:CreateHyperParameterTuningJob", "iam:PassRole", "s3:PutObject"}
    assert set(re.findall(r"\w+:\w+", check.message)) == lacking
    statements = json.loads(check.command)["Statement"]
    assert {statement["Action"] for statement in statements} == lacking
    assert "billed seconds" in only(checks, "caller-rights", "warning").message
    assert "sagemaker:Search" in only(checks, "quota-in-use", "unknown").fix


def test_the_default_bucket_is_created_by_the_first_run(account: Account, tmp_path: Path) -> None:
    check = only(account.checks(tmp_path), "bucket", "ok")
    assert "the first run creates it" in check.message


def test_a_missing_bucket(account: Account, tmp_path: Path) -> None:
    check = only(account.checks(tmp_path, bucket="nowhere"), "bucket", "error")
    assert check.path == "providers.sagemaker.bucket"
    assert check.command == "aws s3api create-bucket --bucket nowhere --region us-east-1"


def test_a_bucket_in_another_region(account: Account, tmp_path: Path) -> None:
    abroad = account.client("s3", region_name="eu-west-1")
    location = {"LocationConstraint": "eu-west-1"}
    abroad.create_bucket(Bucket="abroad", CreateBucketConfiguration=location)
    check = only(account.checks(tmp_path, bucket="abroad"), "bucket-region", "error")
    assert "is in eu-west-1 and the jobs run in us-east-1" in check.message
    there = account.checks(tmp_path, bucket="elsewhere", region="eu-west-1")
    command = only(there, "bucket", "error").command
    assert command.endswith("--create-bucket-configuration LocationConstraint=eu-west-1")


def test_a_missing_image(team_account: Account, tmp_path: Path) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:2"
    check = only(team_account.checks(tmp_path, image=image), "image", "error")
    assert "no image 2" in check.message
    assert check.command.startswith("aws ecr list-images --registry-id 123456789012")
    other = "123456789012.dkr.ecr.us-east-1.amazonaws.com/other:1"
    check = only(team_account.checks(tmp_path, image=other), "image", "error")
    assert "no repository other" in check.message
    assert check.command.startswith("aws ecr create-repository")


def test_quotas_that_are_used_up(start_account: Start, tmp_path: Path) -> None:
    account = start_account(faults=always("ListServiceQuotas", effect="quota"))
    checks = by_id(account.checks(tmp_path), "quota")
    assert [check.severity for check in checks] == ["error", "error"]
    assert "'ml.m5.large for training job usage' is 0" in checks[0].message
    assert "no trial can run" in checks[0].message
    assert "request-service-quota-increase --service-code sagemaker" in checks[0].command
    spot = by_id(account.checks(tmp_path, spot=True), "quota")
    assert "'ml.m5.large for spot training job usage' is 0" in spot[0].message


def test_instances_that_no_quota_keeps(
    account: Account, start_account: Start, tmp_path: Path
) -> None:
    check = only(account.checks(tmp_path, "driven", keep_alive="10m"), "quota-warm-pool", "ok")
    assert "ml.m5.large for training warm pool usage' is 20 for 2" in check.message
    assert not by_id(account.checks(tmp_path, "managed", keep_alive="10m"), "quota-warm-pool")
    account = start_account(faults=always("ListServiceQuotas", effect="quota"))
    checks = account.checks(tmp_path, "driven", keep_alive="10m")
    check = only(checks, "quota-warm-pool", "warning")
    assert check.path == "providers.sagemaker.keep_alive"
    assert "keep_alive has no effect" in check.message
    assert "request-service-quota-increase" in check.command


def test_more_parallel_trials_than_the_quota(account: Account, tmp_path: Path) -> None:
    limits = {"max_trials": 50, "parallel_trials": 9}
    over = {"limits": {**limits, "trial_timeout": "10m"}}
    checks = by_id(account.checks(tmp_path, over=over, instance_count=3), "quota")
    assert all("runs 27 instances at a time" in check.message for check in checks)
    assert "--desired-value 27" in checks[0].command


def test_jobs_that_exist(start_account: Start, tmp_path: Path) -> None:
    account = start_account()
    size = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    names = [account.train("import time; time.sleep(600)", ResourceConfig=size) for _ in range(19)]
    checks = account.checks(tmp_path)
    used = by_id(checks, "quota-in-use")
    assert [check.severity for check in used] == ["warning", "warning"]
    assert "19 are in use now" in used[0].message
    for name in names:
        account.sagemaker.stop_training_job(TrainingJobName=name)
    plan = account_plan(tmp_path, "driven")
    name = plan.request["TrainingJobName"].replace("{{number}}", "1")
    request = account.definition()
    request["HyperParameters"] = request.pop("StaticHyperParameters")
    account.sagemaker.create_training_job(TrainingJobName=name, **request)
    check = only(account.checks(tmp_path, "driven"), "job-name", "error")
    assert name in check.message
