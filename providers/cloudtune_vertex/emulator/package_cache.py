"""Packages of jobs, installed once for all jobs with the same packages.

On the service every trial installs its packages, which takes longer than many trials here and has
the same result each time. What a script installs goes into the job's own environment on top.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from cloudtune.emulator_kit import add_packages, create_image, site_packages


class PackageLayer:
    """An environment with packages; one job installs them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._image = folder / "image"
        self._changed = threading.Condition()
        self._claimed = False
        self._complete = False

    @property
    def packages(self) -> Path:
        """The folder of the package files."""
        return self._folder / "packages"

    @property
    def programs(self) -> Path:
        """The folder of the packages' programs."""
        return self._image / "bin"

    def claim(self, stop: threading.Event) -> bool:
        """Wait while another job installs; return whether the caller is to install.

        A caller that is to install calls `release` afterward.

        Args:
            stop: Ends the wait when it is set.
        """
        with self._changed:
            while self._claimed and not stop.is_set():
                self._changed.wait(0.1)
            if self._complete or self._claimed:
                return False
            self._claimed = True
            return True

    def create(self, files: Mapping[str, bytes]) -> str:
        """Create the environment, still without packages, and return its Python.

        Raises:
            OSError: If this machine cannot.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, content in files.items():
            path = self.packages / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        return create_image(self._image)

    def add_to(self, image: Path) -> None:
        """Let the environment of a job find these packages, before those of this machine."""
        add_packages(image, [str(site_packages(self._image))], "0-layer")

    def release(self, *, complete: bool) -> None:
        """End the claim, with all packages installed or with another job to try again."""
        with self._changed:
            self._claimed = False
            self._complete = complete
            self._changed.notify_all()


class PackageCache:
    """All layers of an emulator."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._layers: dict[str, PackageLayer] = {}
        self._lock = threading.Lock()

    def layer(self, files: Mapping[str, bytes]) -> PackageLayer:
        """Return the layer for files with these names and contents, installed in their order."""
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name}:{len(content)}:".encode())
            digest.update(content)
        key = digest.hexdigest()
        with self._lock:
            return self._layers.setdefault(key, PackageLayer(self._folder / key[:16]))
