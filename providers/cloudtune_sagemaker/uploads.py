"""Brings what trials need to S3: the archive with the code, and inputs that lie on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cloudtune.bundle import archive
from cloudtune.bundle.launcher import SOURCE, launcher_files
from cloudtune.errors import ProviderError
from cloudtune.provider.lookup import input_files, uses_launcher
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.request.layout import ARCHIVE, CHANNELS, archive_uri

_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_HASH = "cloudtune-sha256"
"""Under which the hash of an archive is kept beside it."""
_DEFAULT_REGION = "us-east-1"
"""The only one that S3 does not want to be named when a bucket is created."""


def upload(aws: Aws, plan: Plan, context: JobContext) -> None:
    """Bring to S3 what a job's trials need, as far as it is not there.

    Raises:
        ProviderError: If the bucket is not there, or something cannot be read or sent.
    """
    bucket: str = plan.facts.data["bucket"]
    demand_bucket(aws, plan)
    if uses_launcher(plan.fitted.study, plan.facts):
        _upload_code(aws, plan, context)
    uploads: Mapping[str, str] = plan.facts.lookup.inputs.uploads
    for name, path in uploads.items():
        prefix = _key(f"{plan.facts.lookup.inputs.addresses[name]}/")
        _upload_input(aws, bucket, prefix, Path(path))


def demand_bucket(aws: Aws, plan: Plan) -> None:
    """Do nothing if the bucket is there; make it if it is the usual one of this account.

    Raises:
        ProviderError: If it is not there, or belongs to somebody else.
    """
    data = plan.facts.data
    bucket, region, account = data["bucket"], data["region"], data["account"]
    owner = {} if aws.emulated else {"ExpectedBucketOwner": account}
    try:
        aws.call("s3", "head_bucket", Bucket=bucket, **owner)
    except AwsError as error:
        if error.denied:
            raise AwsError(
                f"the bucket {bucket} may not be used: it belongs to another account than the "
                f"role ({account}), or your user or role lacks s3:ListBucket on it",
                code=error.code,
                affects_all_calls=True,
            ) from error
        if not error.not_found:
            raise
        if not aws.emulated and bucket != f"sagemaker-{region}-{account}":
            raise AwsError(
                f"there is no bucket {bucket}; create it in {region}, or leave "
                "providers.sagemaker.bucket out for the account's usual one",
                code="NoSuchBucket",
            ) from error
        where = (
            {}
            if region == _DEFAULT_REGION
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        aws.call("s3", "create_bucket", Bucket=bucket, **where)


def channel_paths(plan: Plan) -> dict[str, str]:
    """Return where each input lies in a container."""
    uploads: Mapping[str, str] = plan.facts.lookup.inputs.uploads
    paths: dict[str, str] = {}
    for name in plan.facts.lookup.inputs.addresses:
        paths[name] = f"{CHANNELS}/{name}"
        local = Path(uploads.get(name, ""))
        if name in uploads and local.is_file():
            paths[name] += f"/{local.name}"
    return paths


def _upload_code(aws: Aws, plan: Plan, context: JobContext) -> None:
    uri = archive_uri(plan.facts)
    packed = context.folder / ARCHIVE
    paths = channel_paths(plan)
    extra = launcher_files(plan.fitted, plan.facts.run_id, paths, contract=_CONTRACT)
    source = context.folder / "source"
    try:
        archive.write_archive(packed, source if source.is_dir() else None, SOURCE, extra)
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderError(PROVIDER, f"the code cannot be packed: {error}") from error
    bucket, key = plan.facts.data["bucket"], _key(uri)
    if _hash_of(aws, bucket, key) != digest:
        with aws.transfer() as manager:
            manager.upload(
                str(packed), bucket, key, extra_args={"Metadata": {_HASH: digest}}
            ).result()
    packed.unlink()


def _hash_of(aws: Aws, bucket: str, key: str) -> str | None:
    try:
        found = aws.call("s3", "head_object", Bucket=bucket, Key=key)
    except AwsError as error:
        if error.not_found or error.denied:  # without s3:ListBucket, what is not there is denied
            return None
        raise
    digest: str | None = found.get("Metadata", {}).get(_HASH)
    return digest


def _upload_input(aws: Aws, bucket: str, prefix: str, path: Path) -> None:
    there = _sizes(aws, bucket, prefix)
    try:
        wanted = {name: (file, file.stat().st_size) for name, file in input_files(path)}
    except OSError as error:
        raise ProviderError(PROVIDER, f"an input cannot be read: {error}") from error
    if not wanted:
        raise ProviderError(PROVIDER, f"there is nothing in the input {path}")
    with aws.transfer() as manager:
        sent = [
            manager.upload(str(file), bucket, prefix + name)
            for name, (file, size) in wanted.items()
            if there.get(prefix + name) != size
        ]
        try:
            for future in sent:
                future.result()
        except OSError as error:
            raise ProviderError(PROVIDER, f"an input cannot be read: {error}") from error


def _sizes(aws: Aws, bucket: str, prefix: str) -> dict[str, int]:
    """Return how large what is there is, by its key."""
    token = ("NextContinuationToken", "ContinuationToken")
    pages = aws.pages("s3", "list_objects_v2", token, Bucket=bucket, Prefix=prefix)
    return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}


def _key(uri: str) -> str:
    return uri.removeprefix("s3://").partition("/")[2]
