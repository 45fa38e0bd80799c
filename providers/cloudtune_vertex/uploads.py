"""Brings what trials need to Cloud Storage: the code, and inputs that lie on this machine."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloudtune.provider import JobContext, Plan, ProviderError, input_files, launcher_files
from cloudtune_vertex import package
from cloudtune_vertex.client import Google, Object
from cloudtune_vertex.errors import PROVIDER, GoogleError
from cloudtune_vertex.request.layout import measurements, source

_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_AT_ONCE = 8
"""Files that are sent at the same time."""


def upload(google: Google, plan: Plan, context: JobContext) -> None:
    """Bring to Cloud Storage what a job's trials need, as far as it is not there.

    Raises:
        ProviderError: If the bucket is not there, or something cannot be read or sent.
    """
    address = source(plan.facts, plan.fitted.study)
    if address is not None:
        _upload_code(google, plan, context, address)
    inputs = plan.facts.lookup.inputs
    for name, path in inputs.uploads.items():
        _upload_input(google, str(inputs.addresses[name]), Path(path))


def _upload_code(google: Google, plan: Plan, context: JobContext, address: str) -> None:
    paths: Mapping[str, str] = plan.facts.data["paths"]
    files = launcher_files(
        plan.fitted, plan.facts.run_id, paths, measurements(plan.facts), contract=_CONTRACT
    )
    packed = context.folder / address.rpartition("/")[2]
    folder = context.folder / "source"
    code = folder if folder.is_dir() else None
    try:
        write = package.package if plan.facts.data["prebuilt"] else package.bundle
        write(packed, code, files)
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
    except OSError as error:
        raise ProviderError(PROVIDER, f"the code cannot be packed: {error}") from error
    bucket, name = _parts(address)
    there = _there(google, bucket, name)
    if name not in there or there[name].md5 != base64.b64encode(digest).decode():
        google.write(bucket, name, packed)
    packed.unlink()


def _upload_input(google: Google, address: str, path: Path) -> None:
    bucket, name = _parts(address)
    try:
        files = {f"{name}/{inner}": file for inner, file in input_files(path)}
        sizes = {name: file.stat().st_size for name, file in files.items()}
        if not files:
            raise ProviderError(PROVIDER, f"there is nothing in the input {path}")
        there = _there(google, bucket, f"{name}/")
        lacking = [each for each in files if each not in there or there[each].size != sizes[each]]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            sent = [pool.submit(google.write, bucket, each, files[each]) for each in lacking]
        for each in sent:
            each.result()
    except OSError as error:
        raise ProviderError(PROVIDER, f"an input cannot be read: {error}") from error


def _there(google: Google, bucket: str, prefix: str) -> dict[str, Object]:
    """Return what is there already, by name; on an emulator a bucket is made.

    Raises:
        GoogleError: If there is no such bucket, or it may not be used.
    """
    try:
        return {found.name: found for found in google.objects(bucket, prefix)}
    except GoogleError as error:
        if not error.not_found:
            raise
        if not google.emulated:
            words = f"there is no bucket {bucket}; create it in the location of the job, or name "
            raise GoogleError(
                words + "another one under providers.vertex.bucket", code=error.code
            ) from error
    google.make_bucket(bucket)
    return {}


def _parts(address: str) -> tuple[str, str]:
    """Return the bucket and the name of an address."""
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return bucket, name
