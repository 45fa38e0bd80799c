"""The container of a job: its folders, with its archive unpacked."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from cloudtune.emulator_kit import create_image
from cloudtune_watson.contract import Container, InvalidSpecError

MODEL_DIR = ".modelDir.tar"
"""The suffix of a search's archive (HPO notebooks of IBM/wmla-assets)."""


def create_container(container: Container, unpack: Callable[[Path], None]) -> str:
    """Create the folders of a container and return its Python; an earlier container is deleted.

    The folders for results and logs keep their files.

    Args:
        container: The folders.
        unpack: Unpacks the job's files into a folder.

    Raises:
        InvalidSpecError: If its archive cannot be unpacked.
        OSError: If this machine cannot.
    """
    shutil.rmtree(container.root, ignore_errors=True)
    for folder in (container.work, container.result, container.logs):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        unpack(container.work)
    except Exception as error:  # each compression has errors of its own
        raise InvalidSpecError(f"its archive cannot be unpacked: {error}") from error
    return create_image(container.root / "image")


def unzip(archive: Path) -> Callable[[Path], None]:
    """Return a function that unpacks the content of a model definition."""

    def unpack(folder: Path) -> None:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)  # noqa: S202 - zipfile keeps names inside the folder

    return unpack


def untar(archive: Path, name: str) -> Callable[[Path], None]:
    """Return a function that unpacks the archive of a search, or copies its only file."""

    def unpack(folder: Path) -> None:
        if not name.endswith(MODEL_DIR):
            shutil.copyfile(archive, folder / name)
            return
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")

    return unpack


def check_tar(archive: Path) -> None:
    """Check that a file is a readable archive.

    Raises:
        InvalidSpecError: If it is not.
    """
    try:
        with tarfile.open(archive) as opened:
            opened.getmembers()
    except Exception as error:  # each compression has errors of its own
        raise InvalidSpecError(f"it cannot be unpacked: {error}") from error
