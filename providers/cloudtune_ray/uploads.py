"""The code of a run as a package of the cluster, and the jobs that a run leaves behind.

Ray keeps packages in memory, forgets those that nothing uses for ten minutes, and unpacks one once
per node (Ray 2.60.0, _private/runtime_env/packaging.py). A package must not have a top folder.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from cloudtune.launcher import STUDY_FILE
from cloudtune.provider import (
    SOURCE,
    JobContext,
    Json,
    Plan,
    ProviderError,
    format_bytes,
    launcher_files,
)
from cloudtune.provider.lookup import input_files
from cloudtune.provider.uploads import Uploads
from cloudtune_ray import job_program, launcher_contract
from cloudtune_ray.client import RayClient
from cloudtune_ray.errors import PROVIDER
from cloudtune_ray.request import PROGRAM, RUN_KEY
from cloudtune_ray.response import is_over

MAX_PACKAGE = 100 * 1024 * 1024
"""Bytes of a package that clusters accept (https://github.com/ray-project/ray/issues/55877)."""
TOO_LARGE = (
    f"Ray accepts at most {format_bytes(MAX_PACKAGE)} of code: exclude files in .cloudtuneignore, "
    "and give data on a shared folder as trial.inputs"
)
_FIXED_TIME = (2000, 1, 1, 0, 0, 0)


class Package:
    """The code of one run, which is uploaded whenever the cluster does not have it."""

    def __init__(self, client: RayClient, plan: Plan, context: JobContext) -> None:
        """Write the package into the folder of the job; nothing is sent.

        Raises:
            ProviderError: If the code cannot be read, or is too large.
        """
        self._client = client
        self._file = context.folder / "package.zip"
        source = context.folder / "source"
        try:
            write_package(self._file, source if source.is_dir() else None, _files(plan))
            content = self._file.read_bytes()
        except OSError as error:
            raise ProviderError(PROVIDER, f"cannot pack the code: {error}") from error
        if len(content) > MAX_PACKAGE:
            raise ProviderError(PROVIDER, TOO_LARGE)
        self._name = f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip"

    @property
    def address(self) -> str:
        """The address of the package in a request."""
        return f"gcs://{self._name}"

    def ensure(self) -> None:
        """Upload the package unless the cluster has it, and keep it there for a while.

        Raises:
            ProviderError: If the cluster cannot be called, or refuses.
        """
        if not self._client.has_package(self._name):
            self._client.put_package(self._name, self._file.read_bytes())


def write_package(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write a zip file; the same content results in the same bytes.

    Args:
        target: The zip file.
        source: The folder with the user's code, if any. Links are followed: Ray keeps none.
        files: Other files by name.

    Raises:
        OSError: If a file cannot be read or written.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for name in sorted(files):
            _write(package, name, files[name], 0o644)
        for name, path in input_files(source) if source else ():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            _write(package, f"{SOURCE}/{name}", path.read_bytes(), mode)


class JobRecords:
    """The jobs of a run at the cluster, as the `Folders` of `Uploads`: one for each run."""

    def __init__(self, client: RayClient) -> None:
        self._client = client

    def list(self, folder: str) -> dict[str, int]:
        """Return the ended jobs of a run; their sizes are unknown, and 0."""
        run = folder.rstrip("/").rpartition("/")[2]
        return {
            f"{folder}{job['submission_id']}": 0
            for job in self._client.list_all()
            if _run_of(job) == run and is_over(job)
        }

    def delete(self, addresses: Collection[str]) -> None:
        """Delete jobs that have ended."""
        for address in addresses:
            self._client.delete(address.rpartition("/")[2])


def _run_of(job: Json) -> str | None:
    metadata: Json = job.get("metadata") or {}
    return metadata.get(RUN_KEY)


def find_uploads(client: RayClient, plan: Plan) -> Uploads:
    """Return what a run leaves at the cluster: the records of its jobs."""
    return Uploads(JobRecords(client), [], [f"jobs/{plan.facts.run_id}/"])


def _write(package: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100000 | mode) << 16
    package.writestr(entry, content)


def _files(plan: Plan) -> dict[str, bytes]:
    contract = Path(launcher_contract.__file__)
    paths: Mapping[str, str] = plan.facts.data["paths"]
    files = launcher_files(plan.fitted, plan.facts.run_id, paths, contract=contract)
    launch = json.loads(files[STUDY_FILE])
    launch["trial"].pop("requirements", None)  # Ray installs them
    files[STUDY_FILE] = json.dumps(launch, ensure_ascii=False).encode()
    return {**files, PROGRAM: Path(job_program.__file__).read_bytes()}
