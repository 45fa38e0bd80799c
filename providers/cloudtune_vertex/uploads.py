"""Uploads to Cloud Storage what trials need: the code, and local inputs.

The code is a bundle, or a package with the bundle for Google's prebuilt images. They install a
source distribution with pip and start a module in it, which unpacks the bundle into a new folder
and becomes the launcher. The package contains its own build backend (PEP 517, pip 20 or later), so
it needs neither setuptools nor a network. The same content has the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from cloudtune.provider import (
    START,
    JobContext,
    Plan,
    if_found,
    launcher_files,
    pack_code,
    packing_errors,
    write_archive,
    write_bundle,
)
from cloudtune.provider.uploads import (
    Uploads,
    delete_each,
    input_folders,
    upload_files,
    upload_inputs,
)
from cloudtune_vertex.client import Google, StoredObject
from cloudtune_vertex.errors import PROVIDER, GoogleError
from cloudtune_vertex.request.layout import BUNDLE, MODULE, code_uri, job_uri, measurements_uri

_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_PYPROJECT = """\
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]
"""
_METADATA = f"Metadata-Version: 2.1\nName: {MODULE}\nVersion: 1\n"
_BUILDER = f"""\
import os
import zipfile

FILES = ["__init__.py", "__main__.py", "{BUNDLE}"]
METADATA = {{
    "METADATA": {_METADATA!r},
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel = "{MODULE}-1-py3-none-any.whl"
    info = "{MODULE}-1.dist-info/"
    names = ["{MODULE}/" + name for name in FILES]
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as file:
        for name in names:
            file.write(name)
        for name, text in METADATA.items():
            file.writestr(info + name, text)
            names.append(info + name)
        file.writestr(info + "RECORD", "".join(name + ",,\\n" for name in names))
    return wheel
"""
_MAIN = f"""\
import os, sys, tarfile, tempfile
archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{BUNDLE}")
words = sys.argv[1:]
{START}"""


def upload(google: Google, plan: Plan, context: JobContext) -> None:
    """Upload the files of a job's trials that are not in Cloud Storage yet.

    Raises:
        ProviderError: If the bucket does not exist, or a file cannot be read or sent.
    """
    uri = code_uri(plan.facts, plan.fitted.study)
    if uri is not None:
        _upload_code(google, plan, context, uri)
    upload_inputs(CloudStorage(google), plan)


def find_uploads(google: Google, plan: Plan) -> Uploads:
    """Return what a run uploads: inputs that runs share, and its own code."""
    code = code_uri(plan.facts, plan.fitted.study)
    own = [f"{code.rpartition('/')[0]}/"] if code else []
    outputs = [f"{job_uri(plan.facts)}/"]
    return Uploads(CloudStorage(google), input_folders(plan), own, outputs=outputs)


def write_package(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write a source distribution with the bundle; arguments and errors as of `write_bundle`."""
    top = f"{MODULE}-1"
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        write_bundle(folder / BUNDLE, source, files)
        other_files = {
            f"{top}/PKG-INFO": _METADATA.encode(),
            f"{top}/pyproject.toml": _PYPROJECT.encode(),
            f"{top}/builder.py": _BUILDER.encode(),
            f"{top}/{MODULE}/__init__.py": b"",
            f"{top}/{MODULE}/__main__.py": _MAIN.encode(),
        }
        write_archive(target, folder, f"{top}/{MODULE}", other_files)


def _upload_code(google: Google, plan: Plan, context: JobContext, uri: str) -> None:
    facts = plan.facts
    paths: Mapping[str, str] = facts.data["paths"]
    files = launcher_files(
        plan.fitted, facts.run_id, paths, measurements_uri(facts), contract=_CONTRACT
    )
    write = write_package if facts.data["prebuilt"] else write_bundle
    packed = pack_code(PROVIDER, context, uri.rpartition("/")[2], files, write)
    with packing_errors(PROVIDER):
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
        bucket, name = _split(uri)
        stored = _stored_objects(google, bucket, name).get(name)
        if stored is None or stored.md5 != base64.b64encode(digest).decode():
            google.write(bucket, name, packed)
    packed.unlink(missing_ok=True)


class CloudStorage:
    """The objects of Cloud Storage: the `Storage` of Vertex AI. Addresses are ``gs://`` URIs."""

    def __init__(self, google: Google) -> None:
        self._google = google

    def exists(self, address: str) -> bool:
        """Return whether there is an object."""
        return address in self.list(address)

    def list(self, folder: str) -> dict[str, int]:
        """Return the sizes of the objects below an address; none without the bucket.

        An emulator creates its bucket.
        """
        bucket, prefix = _split(folder)
        stored = if_found(lambda: _stored_objects(self._google, bucket, prefix)) or {}
        return {f"gs://{bucket}/{name}": each.size for name, each in stored.items()}

    def write(self, address: str, content: bytes) -> None:
        """Write a small object."""
        if self._google.emulated:
            self.list(address)
        self._google.write_bytes(*_split(address), content)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files, several at a time.

        Raises:
            ProviderError: If a file cannot be read, or a call fails.
        """
        google = self._google
        upload_files(PROVIDER, lambda address, file: google.write(*_split(address), file), files)

    def delete(self, addresses: Collection[str]) -> None:
        """Delete objects, several at a time."""
        delete_each(lambda address: self._google.delete(*_split(address)), addresses)


def _stored_objects(google: Google, bucket: str, prefix: str) -> dict[str, StoredObject]:
    """Return the objects with a prefix by name; on an emulator, create a missing bucket.

    Raises:
        GoogleError: If the bucket does not exist, or the caller has no access.
    """
    try:
        return {stored.name: stored for stored in google.list_objects(bucket, prefix)}
    except GoogleError as error:
        if not error.not_found:
            raise
        if not google.emulated:
            raise GoogleError(
                f"bucket {bucket} not found: create it in the location of the job, or set "
                "providers.vertex.bucket to another one",
                code=error.code,
            ) from error
    google.create_bucket(bucket)
    return {}


def _split(uri: str) -> tuple[str, str]:
    """Return the bucket and the name of a Cloud Storage address."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name
