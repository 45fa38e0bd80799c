"""What jobs fetch from S3 and leave there.

The store is moto's, the same that clients reach through the protocols of AWS.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from cloudtune.emulator_kit import CallLog
from cloudtune_sagemaker.contract import Container
from cloudtune_sagemaker.emulator.state import ACCOUNT, TrainingJob

_calls: list[CallLog] = []
"""Where the rights are recorded that jobs use."""


def log_calls(calls: CallLog) -> None:
    """Record the rights that jobs use from now on."""
    _calls[:] = [calls]


class StorageError(Exception):
    """Something in S3 is missing or unusable; the message is in the service's words."""


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of a URI such as ``s3://bucket/key``."""
    _, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return bucket, key


def fetch(uri: str) -> bytes:
    """Return the content of an object.

    Raises:
        StorageError: If it does not exist.
    """
    bucket, key = split_uri(uri)
    _demand_bucket(bucket)
    _record("s3:GetObject", f"{bucket}/{key}")
    content = _backend().get_object(bucket, key)
    if content is None:
        raise StorageError(
            f"ClientError: No object found at {uri}: An error occurred (404) when calling the "
            "HeadObject operation: Not Found"
        )
    return bytes(content.value)


def keys(uri: str) -> list[str]:
    """Return the sorted keys of the objects whose URI starts with a URI.

    Raises:
        StorageError: If the bucket does not exist.
    """
    bucket, prefix = split_uri(uri)
    _demand_bucket(bucket)
    _record("s3:ListBucket", bucket)
    stored: Any = _backend().get_bucket(bucket).keys
    return sorted(key for key in list(stored.keys()) if key.startswith(prefix))


def download(uri: str, folder: Path) -> int:
    """Copy the objects whose URI starts with a URI into a folder; return their number.

    The service selects by the prefix of the key, and no slash ends it: "SageMaker uses all objects
    that match the specified key name prefix" (API reference, S3DataSource; CheckpointConfig also
    names a "key-name-prefix"; both read 2026-11-27). The path in the folder is the part of the key
    below the URI. Where the URI is only the beginning of a name, it is the last part of the key
    (sagemaker-python-sdk issue 3612).

    Raises:
        StorageError: If the bucket does not exist, or a key would lead out of the folder.
    """
    bucket, prefix = split_uri(uri)
    root = prefix if not prefix or prefix.endswith("/") else prefix + "/"
    objects = keys(uri)
    for key in objects:
        name = key.removeprefix(root) if key.startswith(root) else key.rpartition("/")[2]
        if not name or name.endswith("/"):
            continue
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise StorageError(f"ClientError: the key {key} in {bucket} is not a path in a folder")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(fetch(f"s3://{bucket}/{key}"))
    return len(objects)


def store(uri: str, content: bytes) -> None:
    """Store an object.

    Raises:
        StorageError: If the bucket does not exist.
    """
    bucket, key = split_uri(uri)
    _demand_bucket(bucket)
    _record("s3:PutObject", f"{bucket}/{key}")
    _backend().put_object(bucket, key, content)


def synchronize(folder: Path, uri: str, before: set[str]) -> set[str]:
    """Upload a folder, and delete what the job has deleted in it; return the uploaded names.

    Args:
        folder: The local files.
        uri: Where to upload them.
        before: The names that the job had there before.

    Raises:
        StorageError: If the bucket does not exist.
    """
    bucket, prefix = split_uri(uri.rstrip("/") + "/")
    _demand_bucket(bucket)
    names: set[str] = set()
    for path in files(folder):
        name = path.relative_to(folder).as_posix()
        names.add(name)
        _record("s3:PutObject", f"{bucket}/{prefix}{name}")
        _backend().put_object(bucket, prefix + name, path.read_bytes())
    for name in before - names:
        _record("s3:DeleteObject", f"{bucket}/{prefix}{name}")
        _backend().delete_object(bucket, prefix + name)
    return names


def files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, sorted; links are skipped."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def upload_artifacts(job: TrainingJob, container: Container) -> str:
    """Upload model and output of a job, and return the URI of the model.

    The layout ``<S3OutputPath>/<job>/output/model.tar.gz`` is that of the SDK's examples. Without
    compression (OutputDataConfig.CompressionType) the files are below ``output/model/``.

    Raises:
        StorageError: If the bucket does not exist.
    """
    config = job.request["OutputDataConfig"]
    root = f"{config['S3OutputPath'].rstrip('/')}/{job.name}/output"
    if config.get("CompressionType") == "NONE":
        synchronize(container.model, f"{root}/model/", set())
        synchronize(container.data, f"{root}/data/", set())
        return f"{root}/model/"
    store(f"{root}/model.tar.gz", _archive(container.model))
    if any(files(container.data)):
        store(f"{root}/output.tar.gz", _archive(container.data))
    return f"{root}/model.tar.gz"


def record_use(action: str, resource: str) -> None:
    """Record that a job uses a right, with the role's identity."""
    for calls in _calls:
        calls.add("job", action, resource)


def _record(action: str, name: str) -> None:
    record_use(action, f"arn:aws:s3:::{name}")


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def _demand_bucket(bucket: str) -> None:
    if bucket not in _backend().buckets:
        raise StorageError(
            f"ClientError: Data download failed: NoSuchBucket (404): The specified bucket does not "
            f"exist: {bucket}"
        )


def _archive(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for path in files(folder):
            archive.add(path, path.relative_to(folder).as_posix())
    return packed.getvalue()
