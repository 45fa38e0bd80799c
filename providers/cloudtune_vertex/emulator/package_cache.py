"""Packages of jobs, installed once for all jobs that have the same ones.

On the service every trial installs them anew. That takes longer than many a trial here, and leads
to the same each time. What a job installs itself goes into an environment of its own on top.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from cloudtune.emulator_kit.image import make_image, packages_of, put_below


class Layer:
    """An environment with some packages, or the place for one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._image = folder / "image"
        self._changed = threading.Condition()
        self._held = False
        self._whole = False

    @property
    def packages(self) -> Path:
        """Where the files lie that are installed."""
        return self._folder / "packages"

    @property
    def programs(self) -> Path:
        """Where the programs are that the packages bring."""
        return self._image / "bin"

    def claim(self, stop: threading.Event) -> bool:
        """Wait while another job installs; return whether it is now for the caller to do so.

        Whoever is told so says how it ended by `release`.

        Args:
            stop: Set when the caller does not want to wait any longer.
        """
        with self._changed:
            while self._held and not stop.is_set():
                self._changed.wait(0.1)
            if self._whole or self._held:
                return False
            self._held = True
            return True

    def begin(self, files: Mapping[str, bytes]) -> str:
        """Make the environment, still without the packages, and return its Python.

        Raises:
            OSError: If this machine cannot.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, content in files.items():
            path = self.packages / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        return make_image(self._image)

    def put_below(self, image: Path) -> None:
        """Let the environment of a job find these packages, before those of this machine."""
        put_below(image, [str(packages_of(self._image))], "0-layer")

    def release(self, *, whole: bool) -> None:
        """Say that the packages are there, or that somebody else has to try."""
        with self._changed:
            self._held = False
            self._whole = whole
            self._changed.notify_all()


class Layers:
    """All layers of an emulator."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._layers: dict[str, Layer] = {}
        self._lock = threading.Lock()

    def of(self, files: Mapping[str, bytes]) -> Layer:
        """Return the layer for files of these names and contents, installed in their order."""
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name}:{len(content)}:".encode())
            digest.update(content)
        key = digest.hexdigest()
        with self._lock:
            return self._layers.setdefault(key, Layer(self._folder / key[:16]))
