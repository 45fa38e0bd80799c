"""Whether the buckets exist, belong to the account and are in the region of the jobs."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Plan
from cloudtune.provider.account import account_error, account_ok
from cloudtune_sagemaker.account.ask import unknown
from cloudtune_sagemaker.account.identity import Caller
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.resources import Resources, is_known, s3_addresses, split_uri

PATH = "providers.sagemaker.bucket"
_DEFAULT_REGION = "us-east-1"
"""The only region that S3 does not accept as a location constraint."""


def check_buckets(aws: Aws, plan: Plan, caller: Caller) -> Iterator[Check]:
    """Yield the checks of the run's own bucket, and of those of its inputs."""
    own: str = plan.facts.data["bucket"]
    others = [split_uri(uri)[0] for uri in s3_addresses(plan)]
    for bucket in dict.fromkeys([own, *others]):
        if is_known(bucket):
            is_own = bucket == own
            yield from _check(aws, plan, caller, bucket, _path(plan, bucket, is_own=is_own))


def _check(aws: Aws, plan: Plan, caller: Caller, bucket: str, path: str) -> Iterator[Check]:
    region: str = plan.facts.data["region"]
    is_own = bucket == plan.facts.data["bucket"]
    owner = {} if aws.emulated or not is_own else {"ExpectedBucketOwner": caller.account}
    try:
        response = aws.call("s3", "head_bucket", Bucket=bucket, **owner)
    except AwsError as error:
        if error.denied:
            yield _no_access(bucket, path, is_own=is_own)
        elif error.not_found:
            yield _missing(plan, bucket, path, is_own=is_own)
        else:
            raise
        return
    location = response.get("BucketRegion") or region
    if location != region:
        yield account_error(
            id="bucket-region",
            path=path,
            message=f"the bucket {bucket} is in {location} and the jobs run in {region}; SageMaker "
            "reads and writes only buckets of its own region",
            fix=f"use a bucket in {region}, or set providers.sagemaker.region to {location}",
            command=_create_command(f"{bucket}-{region}", region),
        )
    else:
        yield account_ok(id="bucket", message=f"bucket {bucket} exists in {region}")


def _missing(plan: Plan, bucket: str, path: str, *, is_own: bool) -> Check:
    region: str = plan.facts.data["region"]
    if is_own and Resources(plan).concrete("default bucket"):
        message = f"bucket {bucket} does not exist, and the first run creates it"
        return account_ok(id="bucket", message=message)
    return account_error(
        id="bucket",
        path=path,
        message=f"there is no bucket {bucket}",
        fix="create it" + (", or remove the setting for the default bucket" if is_own else ""),
        command=_create_command(bucket, region),
    )


def _no_access(bucket: str, path: str, *, is_own: bool) -> Check:
    """Return the result for a bucket whose existence S3 does not confirm to the caller."""
    if is_own:
        return account_error(
            id="bucket",
            path=path,
            message=f"no access to the bucket {bucket}: it belongs to another account, or your "
            "user or role lacks s3:ListBucket on it",
            fix="choose another bucket, or allow s3:ListBucket on this one",
            command=f"aws s3api get-bucket-location --bucket {bucket}",
        )
    question = f"whether the bucket {bucket} exists"
    look = "only the role of the training jobs needs it"
    return unknown("bucket", question, f"s3:ListBucket on {bucket}", path=path, look=look)


def _create_command(bucket: str, region: str) -> str:
    command = f"aws s3api create-bucket --bucket {bucket} --region {region}"
    if region == _DEFAULT_REGION:
        return command
    return f"{command} --create-bucket-configuration LocationConstraint={region}"


def _path(plan: Plan, bucket: str, *, is_own: bool) -> str:
    if is_own:
        return PATH
    inputs = plan.facts.lookup.inputs.addresses
    for name, address in inputs.items():
        if str(address).startswith(f"s3://{bucket}/"):
            return f"trial.inputs.{name}"
    return ""
