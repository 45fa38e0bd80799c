"""The emulator's S3, from the inside: what jobs fetch from it and put into it.

It is moto's store, the same that clients reach through the S3 protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ACCOUNT = "123456789012"
"""The account that moto says everything belongs to."""


class StorageError(Exception):
    """Something in S3 is not there or cannot be used; the message is in the service's words."""


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an address such as ``s3://bucket/key``."""
    _, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return bucket, key


def fetch(uri: str) -> bytes:
    """Return the content of an object.

    Raises:
        StorageError: If there is none.
    """
    bucket, key = split(uri)
    _demand_bucket(bucket)
    found = _backend().get_object(bucket, key)
    if found is None:
        raise StorageError(
            f"ClientError: No object found at {uri}: An error occurred (404) when calling the "
            "HeadObject operation: Not Found"
        )
    return bytes(found.value)


def keys(uri: str) -> list[str]:
    """Return the keys of the objects whose address begins with an address, in order.

    Raises:
        StorageError: If there is no such bucket.
    """
    bucket, prefix = split(uri)
    _demand_bucket(bucket)
    stored: Any = _backend().get_bucket(bucket).keys
    return sorted(key for key in list(stored.keys()) if key.startswith(prefix))


def download(uri: str, folder: Path) -> int:
    """Copy the objects whose address begins with an address into a folder; return how many.

    The part of a key after the last slash of the address becomes the path in the folder.

    Raises:
        StorageError: If there is no such bucket, or a key would lead out of the folder.
    """
    bucket, prefix = split(uri)
    root = prefix if not prefix or prefix.endswith("/") else prefix + "/"
    found = keys(uri)
    for key in found:
        # Of the prefix a/b both a/b/c and a/bc are below; the service strips a whole folder only.
        name = key.removeprefix(root) if key.startswith(root) else key.rpartition("/")[2]
        if not name or name.endswith("/"):
            continue
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise StorageError(f"ClientError: the key {key} in {bucket} is no path in a folder")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(fetch(f"s3://{bucket}/{key}"))
    return len(found)


def store(uri: str, content: bytes) -> None:
    """Put an object.

    Raises:
        StorageError: If there is no such bucket.
    """
    bucket, key = split(uri)
    _demand_bucket(bucket)
    _backend().put_object(bucket, key, content)


def synchronise(folder: Path, uri: str, before: set[str]) -> set[str]:
    """Make S3 as the folder is, as far as this job is concerned; return the names it has there.

    Args:
        folder: The local files.
        uri: Where they belong.
        before: The names that were there for this job; those that are gone are deleted.

    Raises:
        StorageError: If there is no such bucket.
    """
    bucket, prefix = split(uri.rstrip("/") + "/")
    _demand_bucket(bucket)
    names: set[str] = set()
    for path in files(folder):
        name = path.relative_to(folder).as_posix()
        names.add(name)
        _backend().put_object(bucket, prefix + name, path.read_bytes())
    for name in before - names:
        _backend().delete_object(bucket, prefix + name)
    return names


def files(folder: Path) -> Iterator[Path]:
    """Yield the ordinary files below a folder, in order; links are passed over."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def _demand_bucket(bucket: str) -> None:
    if bucket not in _backend().buckets:
        raise StorageError(
            f"ClientError: Data download failed: NoSuchBucket (404): The specified bucket does not "
            f"exist: {bucket}"
        )
