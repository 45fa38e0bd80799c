"""The script of a custom job in its image, by Docker or Podman."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from cloudtune.emulator_kit import Container, Json, ProcessSpec, in_container
from cloudtune_vertex import contract
from cloudtune_vertex.emulator.delays import GRACE
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.script import STORAGE
from cloudtune_vertex.emulator.state import CustomJob
from cloudtune_vertex.emulator.storage import Storage

_PACKAGES = "/cloudtune-packages"


class ImageScript:
    """The script of a custom job; the image has the Python and the entry point."""

    def __init__(
        self, job: CustomJob, storage: Storage, mount: Mount, url: str, engine: str
    ) -> None:
        """Create the folders of a job, and fetch its packages.

        Raises:
            StorageError: If a package is missing.
            OSError: If this machine cannot.
        """
        root = job.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        reports = contract.Container(root, mount.folder).metrics
        reports.parent.mkdir(parents=True)
        self.metrics = contract.MetricFile(reports, job.metrics) if job.metrics else None
        tag = job.metrics[0] if job.metrics else None
        identity = contract.Identity(job.id, job.parent.project, job.trial, tag)
        mounts = {
            **mount.volumes(str(contract.IN_IMAGE.gcs)),
            reports.parent: str(contract.IN_IMAGE.metrics.parent),
        }
        pool: Json = job.spec["workerPoolSpecs"][0]
        if package := pool.get("pythonPackageSpec"):
            folder = root / "packages"
            files = _fetch(contract.package_uris(job.spec), storage, folder)
            mounts[folder] = _PACKAGES
            container = Container(
                package["executorImageUri"], [], _package_command(package, files), mounts
            )
        else:
            task: Json = pool.get("containerSpec", {})
            container = Container(
                task["imageUri"], task.get("args", ()), task.get("command", ()), mounts
            )
        process = ProcessSpec(
            command=(),
            cwd=root,
            env={STORAGE: url, **contract.image_variables(job.spec, identity)},
            log=job.folder / "log.txt",
            grace=GRACE,
        )
        self.started: float | None = None
        """When its container has started."""
        self._process = in_container(engine, container, process)

    def process(self) -> ProcessSpec:
        """Return the process of the container."""
        self.started = time.monotonic()
        return self._process

    def advance(self) -> bool:
        """Return False: there is one process."""
        return False

    def close(self) -> None:
        """Do nothing: the script holds nothing."""


def _fetch(uris: Sequence[str], storage: Storage, folder: Path) -> list[str]:
    """Write packages into a folder; return their paths in the container."""
    folder.mkdir()
    paths: list[str] = []
    for index, uri in enumerate(uris):
        name = f"{index}/{Path(uri).name}"
        (folder / str(index)).mkdir()
        (folder / name).write_bytes(storage.fetch(uri))
        paths.append(f"{_PACKAGES}/{name}")
    return paths


def _package_command(package: Json, files: list[str]) -> list[str]:
    """Return the command that installs packages and starts their module, as Google's images do."""
    install = [*contract.install_command(Path(), "python3")[:-1], *files]
    start = ["python3", "-m", package["pythonModule"], *package.get("args", ())]
    return ["/bin/sh", "-c", f"{shlex.join(install)} && exec {shlex.join(start)}"]
