"""Uploads to S3 what trials need: the archive with the code, and local inputs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cloudtune.provider import (
    SOURCE,
    JobContext,
    Plan,
    ProviderError,
    input_files,
    launcher_files,
    uses_launcher,
    write_archive,
)
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.request.layout import ARCHIVE, CHANNELS, archive_uri
from cloudtune_sagemaker.request.training_job import if_set

_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_HASH = "cloudtune-sha256"
"""The metadata key with the hash of an archive."""
_DEFAULT_REGION = "us-east-1"
"""S3 creates buckets there if the request names no region, and refuses its name."""


def upload(aws: Aws, plan: Plan, context: JobContext) -> None:
    """Upload the files of a job's trials that are not in S3 yet.

    Raises:
        ProviderError: If the bucket does not exist, or a file cannot be read or sent.
    """
    bucket: str = plan.facts.data["bucket"]
    _ensure_bucket(aws, plan)
    if uses_launcher(plan.fitted.study, plan.facts):
        _upload_code(aws, plan, context)
    inputs = plan.facts.lookup.inputs
    for name, path in inputs.uploads.items():
        prefix = _key(str(inputs.addresses[name]))
        _upload_input(aws, bucket, prefix, Path(path))


def _ensure_bucket(aws: Aws, plan: Plan) -> None:
    """Check the bucket of a plan, and create it if it is the account's default bucket."""
    data = plan.facts.data
    bucket, region, account = data["bucket"], data["region"], data["account"]
    owner = {} if aws.emulated else {"ExpectedBucketOwner": account}
    try:
        aws.call("s3", "head_bucket", Bucket=bucket, **owner)
    except AwsError as error:
        if error.denied:
            raise AwsError(
                f"no access to the bucket {bucket}: it belongs to another account than the role "
                f"({account}), or your user or role needs s3:ListBucket on it",
                code=error.code,
                affects_all_calls=True,
            ) from error
        if not error.not_found:
            raise
        if not aws.emulated and bucket != f"sagemaker-{region}-{account}":
            raise AwsError(
                f"bucket {bucket} not found: create it in {region}, or remove "
                "providers.sagemaker.bucket to use the account's default bucket",
                code="NoSuchBucket",
            ) from error
        location = {} if region == _DEFAULT_REGION else {"LocationConstraint": region}
        aws.call(
            "s3", "create_bucket", Bucket=bucket, **if_set("CreateBucketConfiguration", location)
        )


def _upload_code(aws: Aws, plan: Plan, context: JobContext) -> None:
    packed = context.folder / ARCHIVE
    inputs = plan.facts.lookup.inputs
    paths = {name: f"{CHANNELS}/{name}" for name in inputs.addresses}
    for name, path in inputs.uploads.items():
        if Path(path).is_file():
            paths[name] += f"/{Path(path).name}"
    files = launcher_files(plan.fitted, plan.facts.run_id, paths, contract=_CONTRACT)
    source = context.folder / "source"
    try:
        write_archive(packed, source if source.is_dir() else None, SOURCE, files)
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderError(PROVIDER, f"cannot pack the code: {error}") from error
    bucket, key = plan.facts.data["bucket"], _key(archive_uri(plan.facts))
    if _stored_hash(aws, bucket, key) != digest:
        extra_args = {"Metadata": {_HASH: digest}}
        with aws.transfer() as manager:
            manager.upload(str(packed), bucket, key, extra_args=extra_args).result()
    packed.unlink()


def _stored_hash(aws: Aws, bucket: str, key: str) -> str | None:
    try:
        response = aws.call("s3", "head_object", Bucket=bucket, Key=key)
    except AwsError as error:
        if error.not_found or error.denied:  # without s3:ListBucket, a missing object is denied
            return None
        raise
    digest: str | None = response.get("Metadata", {}).get(_HASH)
    return digest


def _upload_input(aws: Aws, bucket: str, prefix: str, path: Path) -> None:
    tokens = ("NextContinuationToken", "ContinuationToken")
    pages = aws.pages("s3", "list_objects_v2", tokens, Bucket=bucket, Prefix=prefix)
    stored = {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}
    try:
        files = {name: (file, file.stat().st_size) for name, file in input_files(path)}
        if not files:
            raise ProviderError(PROVIDER, f"the input {path} is empty")
        with aws.transfer() as manager:
            uploads = [
                manager.upload(str(file), bucket, prefix + name)
                for name, (file, size) in files.items()
                if stored.get(prefix + name) != size
            ]
            for future in uploads:
                future.result()
    except OSError as error:
        raise ProviderError(PROVIDER, f"cannot read an input: {error}") from error


def _key(uri: str) -> str:
    return uri.removeprefix("s3://").partition("/")[2]
