"""The script of a custom job: its container, its packages, its steps."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from cloudtune.emulator_kit import ProcessSpec, create_image
from cloudtune_vertex import contract
from cloudtune_vertex.emulator import namespace, storage_tool
from cloudtune_vertex.emulator.delays import GRACE
from cloudtune_vertex.emulator.literal_paths import ADVICE, find_literal_path
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import PackageCache, PackageLayer
from cloudtune_vertex.emulator.state import CustomJob
from cloudtune_vertex.emulator.storage import Storage

STORAGE = "STORAGE_EMULATOR_HOST"
"""The variable with the storage's URL, which has the key, for Google's library."""


class Script:
    """The script of a custom job. An earlier container was on another machine."""

    def __init__(
        self, job: CustomJob, storage: Storage, mount: Mount, packages: PackageCache, url: str
    ) -> None:
        """Create the container of a job, and fetch its packages.

        Raises:
            StorageError: If a package is missing.
            BadSpec: If the job has nothing to run.
            OSError: If this machine cannot.
        """
        self._job = job
        root = job.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        self._mounts = namespace.is_supported()
        gcs = Path(namespace.MOUNT_POINT) if self._mounts else mount.folder
        container = contract.Container(root, gcs)
        scratch = root / "new-root"
        for folder in (container.work, scratch):
            folder.mkdir(parents=True)
        self.metrics: contract.MetricFile | None = None
        if job.metrics:
            self.metrics = contract.MetricFile(container.metrics, job.metrics)
        tag = job.metrics[0] if job.metrics else None
        identity = contract.Identity(job.id, job.parent.project, job.trial, tag)
        python = create_image(root / "image")
        _add_storage_tools(root / "image")
        self._start = contract.build_start(job.spec, identity, container, python)
        self._env = {STORAGE: url, **self._start.env}
        self._step = 0
        self.started: float | None = None
        """When its last step has started, after the installations."""
        self._layer: PackageLayer | None = None
        """The layer that this job is installing."""
        self._commands = [
            *self._installations(storage, packages, root / "image"),
            self._start.command,
        ]
        if self._mounts:
            self._commands[-1] = namespace.wrap(
                self._start.command, str(mount.folder.resolve()), str(scratch.resolve())
            )
        elif found := find_literal_path(job.spec, storage):
            raise contract.BadSpec(f"{found} {ADVICE}")

    def process(self) -> ProcessSpec:
        """Return the process of the current step: an installation, or the script."""
        if self._step == len(self._commands) - 1:
            self.started = time.monotonic()
        return ProcessSpec(
            command=self._commands[self._step],
            cwd=self._start.cwd,
            env=self._env,
            log=self._job.folder / "log.txt",
            grace=GRACE,
        )

    def advance(self) -> bool:
        """Go to the next step after a success; return whether there is one."""
        self._step += 1
        if self._step == len(self._commands) - 1:
            self._release(complete=True)
        return self._step < len(self._commands)

    def close(self) -> None:
        """Release what the script holds; no further step runs."""
        self._release(complete=False)

    def _installations(
        self, storage: Storage, packages: PackageCache, image: Path
    ) -> list[Sequence[str]]:
        """Return the commands that install missing packages."""
        uris = contract.package_uris(self._job.spec)
        if not uris:
            return []
        files = {
            f"{index}/{uri.rpartition('/')[2]}": storage.fetch(uri)
            for index, uri in enumerate(uris)
        }
        layer = packages.layer(files)
        commands: list[Sequence[str]] = []
        if layer.claim(self._job.stop_requested):
            self._layer = layer
            try:
                python = layer.create(files)
            except (OSError, ValueError):  # also for invalid file names
                self.close()
                raise
            commands += [contract.install_command(layer.packages / name, python) for name in files]
        elif self._job.stop_requested.is_set():
            return []
        layer.add_to(image)
        own, _, others = self._env["PATH"].partition(os.pathsep)
        self._env["PATH"] = os.pathsep.join([own, str(layer.programs), others])
        return commands

    def _release(self, *, complete: bool) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.release(complete=complete)


def _add_storage_tools(image: Path) -> None:
    """Let a script find stand-ins for ``gcloud storage`` and ``gsutil``."""
    for name in ("gcloud", "gsutil"):
        words = shlex.join(storage_tool.command(name))
        script = image / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', "utf-8")
        script.chmod(0o755)
