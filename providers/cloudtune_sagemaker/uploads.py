"""Uploads to S3 what trials need: the archive with the code, and local inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from cloudtune.formats import compact
from cloudtune.provider import JobContext, Json, Plan, ProviderError
from cloudtune.provider import pack_code as pack
from cloudtune.provider.lookup import uses_launcher
from cloudtune.provider.trial_files import StoredFile
from cloudtune.provider.uploads import Uploads, input_folders, upload_inputs, upload_once
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.request.layout import (
    ARCHIVE,
    archive_files,
    archive_uri,
    job_prefix,
    launcher_hash,
)

_MAX_DELETED = 1000
"""Objects of one call (API reference of S3, DeleteObjects, read 2026-11-27)."""
_DEFAULT_REGION = "us-east-1"
"""S3 creates buckets there if the request names no region, and refuses its name."""


def upload(aws: Aws, plan: Plan, context: JobContext) -> None:
    """Upload the files of a job's trials that are not in S3 yet.

    Raises:
        ProviderError: If the bucket does not exist, or a file cannot be read or sent.
    """
    _ensure_bucket(aws, plan)
    storage, run = S3Storage(aws), plan.facts.run_id
    if code := _code_folder(plan):
        upload_once(storage, code, run, lambda: {ARCHIVE: pack_code(plan, context)})
        (context.folder / ARCHIVE).unlink(missing_ok=True)
    upload_inputs(storage, plan)


def find_uploads(aws: Aws, plan: Plan) -> Uploads:
    """Return what a run uploads to S3, and its outputs there."""
    outputs = [f"{job_prefix(plan.facts.data, plan.facts.job_name)}/"]
    return Uploads(S3Storage(aws), uploaded_folders(plan), outputs=outputs)


def uploaded_folders(plan: Plan) -> list[str]:
    """Return the addresses of the folders that a run uploads."""
    code = _code_folder(plan)
    return [*([code] if code else ()), *input_folders(plan)]


def _code_folder(plan: Plan) -> str | None:
    if not uses_launcher(plan.fitted.study, plan.facts):
        return None
    return archive_uri(plan.fitted, plan.facts).removesuffix(ARCHIVE)


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
            "s3", "create_bucket", Bucket=bucket, **compact(CreateBucketConfiguration=location)
        )


def pack_code(plan: Plan, context: JobContext) -> Path:
    """Write the archive with the code into the job's folder; return its path.

    Raises:
        ProviderError: If a file cannot be read, or another version of cloudtune made the plan.
    """
    if plan.facts.data["launcher"] != launcher_hash():
        raise ProviderError(
            PROVIDER, "another version of cloudtune planned this run; plan the study again"
        )
    files = archive_files(plan.fitted, plan.facts)
    return pack(PROVIDER, context, ARCHIVE, files)


class S3Storage:
    """The objects of S3: the `Storage` of SageMaker. Addresses are S3 URIs."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def exists(self, address: str) -> bool:
        """Return whether there is an object. Without s3:ListBucket, a missing one is denied."""
        try:
            self._aws.call("s3", "head_object", **_object(address))
        except AwsError as error:
            if error.not_found or error.denied:
                return False
            raise
        return True

    def list(self, folder: str) -> dict[str, int]:
        """Return the sizes of the objects below an address; none without the bucket."""
        return {address: file.size for address, file in self.files(folder).items()}

    def files(self, folder: str) -> dict[str, StoredFile]:
        """Return the objects below an address, by address; none without the bucket."""
        bucket, prefix = _split(folder)
        tokens = ("NextContinuationToken", "ContinuationToken")
        pages = self._aws.pages("s3", "list_objects_v2", tokens, Bucket=bucket, Prefix=prefix)
        try:
            objects = [each for page in pages for each in page.get("Contents", ())]
        except AwsError as error:
            if error.code == "NoSuchBucket":
                return {}
            raise
        stored = (
            StoredFile(f"s3://{bucket}/{each['Key']}", each["Size"], each.get("ETag", ""))
            for each in objects
        )
        return {file.address: file for file in stored}

    def read(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """Yield the content of an object from a byte on, unless it has changed since its list."""
        return self._aws.read(*_split(file.address), start, file.version)

    def write(self, address: str, content: bytes) -> None:
        """Write a small object."""
        self._aws.call("s3", "put_object", **_object(address), Body=content)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files, several at a time."""
        with self._aws.transfer() as manager:
            futures = [
                manager.upload(str(file), *_split(address)) for address, file in files.items()
            ]
            for future in futures:
                future.result()

    def delete(self, addresses: Collection[str]) -> None:
        """Delete objects, a thousand per call."""
        for batch in _batches(addresses, _MAX_DELETED):
            bucket = _split(batch[0])[0]
            objects = [{"Key": _split(address)[1]} for address in batch]
            try:
                response = self._aws.call(
                    "s3",
                    "delete_objects",
                    Bucket=bucket,
                    Delete={"Objects": objects, "Quiet": True},
                )
            except AwsError as problem:
                if problem.code == "NoSuchBucket":
                    return
                raise
            for error in response.get("Errors", ()):
                raise AwsError(f"cannot delete {error.get('Key')}: {error.get('Message')}")


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _object(uri: str) -> Json:
    bucket, key = _split(uri)
    return {"Bucket": bucket, "Key": key}


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
