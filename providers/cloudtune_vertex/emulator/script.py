"""The script of one custom job: its container, its packages, its steps."""

from __future__ import annotations

import shutil

from cloudtune.emulation.image import make_image
from cloudtune.execution.watch import ProcessSpec
from cloudtune_vertex import contract
from cloudtune_vertex.emulator.delays import GRACE
from cloudtune_vertex.emulator.jobs import CustomJob
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.storage import Storage

STORAGE = "STORAGE_EMULATOR_HOST"
"""Where Google's library for Cloud Storage finds the storage, with the key in the address."""


class Script:
    """What of a job runs here. A container that is there already was on another machine."""

    def __init__(self, job: CustomJob, storage: Storage, mount: Mount, url: str) -> None:
        """Make the container of a job, and fetch its packages.

        Raises:
            StorageError: If a package is not there.
            BadSpec: If nothing says what is to be run.
            OSError: If this machine cannot.
        """
        self._job = job
        self.place = 0
        root = job.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        container = contract.Container(root, mount.folder)
        for folder in (container.work, container.packages, root / "tmp"):
            folder.mkdir(parents=True)
        for uri in (
            job.spec["workerPoolSpecs"][0].get("pythonPackageSpec", {}).get("packageUris", ())
        ):
            (container.packages / uri.rpartition("/")[2]).write_bytes(storage.fetch(uri))
        self.metrics: contract.MetricFile | None = None
        if job.metrics:
            self.metrics = contract.MetricFile(container.metrics, job.metrics)
        tag = job.metrics[0] if job.metrics else None
        who = contract.Identity(job.id, job.parent.project, job.trial, tag)
        python = make_image(root / "image")
        self._start = contract.start(job.spec, who, container, python)
        self._env = {STORAGE: url, **self._start.env}

    def has_more(self) -> bool:
        """Tell whether another step is due."""
        return self.place < len(self._start.steps)

    def process(self) -> ProcessSpec:
        """Return the process of the step that is due: an installation, or the script."""
        return ProcessSpec(
            command=self._start.steps[self.place].command,
            cwd=self._start.cwd,
            env=self._env,
            log=self._job.folder / "log.txt",
            grace=GRACE,
        )
