"""The script of one custom job: its container, its packages, its steps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cloudtune.emulator_kit.image import make_image
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune_vertex import contract
from cloudtune_vertex.emulator.delays import GRACE
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import Layer, Layers
from cloudtune_vertex.emulator.state import CustomJob
from cloudtune_vertex.emulator.storage import Storage

STORAGE = "STORAGE_EMULATOR_HOST"
"""Where Google's library for Cloud Storage finds the storage, with the key in the address."""


class Script:
    """What of a job runs here. A container that is there already was on another machine."""

    def __init__(
        self, job: CustomJob, storage: Storage, mount: Mount, layers: Layers, url: str
    ) -> None:
        """Make the container of a job, and fetch its packages.

        Raises:
            StorageError: If a package is not there.
            BadSpec: If nothing says what is to be run.
            OSError: If this machine cannot.
        """
        self._job = job
        root = job.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        container = contract.Container(root, mount.folder)
        for folder in (container.work, root / "tmp"):
            folder.mkdir(parents=True)
        self.metrics: contract.MetricFile | None = None
        if job.metrics:
            self.metrics = contract.MetricFile(container.metrics, job.metrics)
        tag = job.metrics[0] if job.metrics else None
        who = contract.Identity(job.id, job.parent.project, job.trial, tag)
        python = make_image(root / "image")
        self._start = contract.start(job.spec, who, container, python)
        self._env = {STORAGE: url, **self._start.env}
        self._place = 0
        self._holds: Layer | None = None
        """The layer that this job is installing."""
        self._commands = [
            *self._installations(storage, layers, root / "image"),
            self._start.command,
        ]

    def process(self) -> ProcessSpec:
        """Return the process of the step that is due: an installation, or the script."""
        return ProcessSpec(
            command=self._commands[self._place],
            cwd=self._start.cwd,
            env=self._env,
            log=self._job.folder / "log.txt",
            grace=GRACE,
        )

    def goes_on(self) -> bool:
        """Take note that a step ended well; return whether another one is due."""
        self._place += 1
        if self._place == len(self._commands) - 1:
            self._release(whole=True)
        return self._place < len(self._commands)

    def close(self) -> None:
        """Take note that no further step is run."""
        self._release(whole=False)

    def _installations(self, storage: Storage, layers: Layers, image: Path) -> list[Sequence[str]]:
        """Return the commands that install what is not installed yet."""
        uris = contract.packages(self._job.spec)
        if not uris:
            return []
        files = {
            f"{place}/{uri.rpartition('/')[2]}": storage.fetch(uri)
            for place, uri in enumerate(uris)
        }
        layer = layers.of(files)
        layer.put_below(image)
        own, _, others = self._env["PATH"].partition(os.pathsep)
        self._env["PATH"] = os.pathsep.join([own, str(layer.programs), others])
        if not layer.claim(self._job.stop_wanted):
            return []
        self._holds = layer
        try:
            python = layer.begin(files)
        except (OSError, ValueError):  # also names that no file can have
            self.close()
            raise
        return [contract.installation(layer.packages / name, python) for name in files]

    def _release(self, *, whole: bool) -> None:
        layer, self._holds = self._holds, None
        if layer is not None:
            layer.release(whole=whole)
