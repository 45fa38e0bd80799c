"""The folders of one job: its container, with its archive unpacked."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from cloudtune.emulator_kit.image import make_image
from cloudtune_watson.contract import BadSpec, Container

MODEL_DIR = ".modelDir.tar"
"""How the name of an archive of a search ends (HPO notebooks of IBM/wmla-assets)."""


def contain(container: Container, unpack: Callable[[Path], None]) -> str:
    """Make a container's folders and return its Python; an earlier one is thrown away.

    What lies in the folders for results and logs stays.

    Args:
        container: The folders.
        unpack: Puts the job's files into a folder.

    Raises:
        BadSpec: If its archive cannot be unpacked.
        OSError: If this machine cannot.
    """
    shutil.rmtree(container.root, ignore_errors=True)
    for folder in (container.work, container.root / "tmp", container.result, container.logs):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        unpack(container.work)
    except Exception as error:  # each compression has errors of its own
        raise BadSpec(f"its archive cannot be unpacked: {error}") from error
    return make_image(container.root / "image")


def unzip(archive: Path) -> Callable[[Path], None]:
    """Return what unpacks the content of a model definition."""

    def unpack(folder: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)  # noqa: S202 - zipfile lets no name lead out of it

    return unpack


def untar(archive: Path, name: str) -> Callable[[Path], None]:
    """Return what unpacks the archive of a search, or copies its one file under its name."""

    def unpack(folder: Path) -> None:
        if not name.endswith(MODEL_DIR):
            shutil.copyfile(archive, folder / name)
            return
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")

    return unpack


def check_tar(archive: Path) -> None:
    """Read through an archive.

    Raises:
        BadSpec: If it is none.
    """
    try:
        with tarfile.open(archive) as opened:
            opened.getmembers()
    except Exception as error:  # each compression has errors of its own
        raise BadSpec(f"it cannot be unpacked: {error}") from error
