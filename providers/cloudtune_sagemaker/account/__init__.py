"""What read-only calls show of an AWS account before a run, at no cost.

The calls: STS GetCallerIdentity; IAM GetRole and SimulatePrincipalPolicy; S3 HeadBucket and, where
a right is missing, GetBucketPolicy; ECR DescribeImages; Service Quotas ListServiceQuotas and
ListAWSDefaultServiceQuotas; SageMaker Search and the description of the planned job. They create
nothing. Only S3 bills requests, these few with less than 0.00001 USD (not verified).
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Plan
from cloudtune.provider.account import check_packages
from cloudtune_sagemaker.account.buckets import check_buckets
from cloudtune_sagemaker.account.identity import check_identity
from cloudtune_sagemaker.account.image import check_image
from cloudtune_sagemaker.account.jobs import check_names
from cloudtune_sagemaker.account.permissions import check_caller_rights, check_role_rights
from cloudtune_sagemaker.account.quotas import check_quotas
from cloudtune_sagemaker.account.role import check_role
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.resources import is_known


def check_account(aws: Aws, plan: Plan) -> Iterator[Check]:
    """Yield the checks of an account. Without valid credentials, only that is known.

    Raises:
        AwsError: If AWS cannot be reached.
    """
    yield from check_packages("sagemaker")
    if not is_known(plan.facts.data["region"]):
        return
    caller = yield from check_identity(aws, plan)
    if caller is None:
        return
    has_role = yield from check_role(aws, plan, caller)
    yield from check_caller_rights(aws, plan, caller)
    if has_role:
        yield from check_role_rights(aws, plan)
    yield from check_buckets(aws, plan, caller)
    yield from check_image(aws, plan)
    yield from check_quotas(aws, plan)
    yield from check_names(aws, plan)
