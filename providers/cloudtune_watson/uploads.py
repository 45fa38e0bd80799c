"""Brings the code of a trial to IBM: as a model definition, or as the archive of a search.

A model definition is a zip file, which keeps neither links nor the permission to execute. So ours
holds the bundle as it is packed for all services, and a program that unpacks it and becomes the
launcher in it.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cloudtune.provider import (
    EMULATOR_FOLDER,
    PROGRAM,
    SOURCE,
    START,
    JobContext,
    Plan,
    ProviderError,
    input_files,
    launcher_files,
    write_archive,
)
from cloudtune_watson.client import Trainings
from cloudtune_watson.errors import PROVIDER
from cloudtune_watson.request.layout import MODEL_FOLDER

BUNDLE = "bundle.tar.gz"
_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_STORED = "definition.txt"
"""The file in a job's folder with the id of its definition."""
_LONG_AGO = (2000, 1, 1, 0, 0, 0)

_UNPACK = f"""\
import os
import sys
import tarfile
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
archive, words = os.path.join(here, "{BUNDLE}"), sys.argv[1:]
{START}"""


def definition_of(trainings: Trainings, plan: Plan, context: JobContext) -> str:
    """Return the id of the model definition of a job, which is stored unless it was before.

    Raises:
        ProviderError: If the code cannot be read or sent.
    """
    noted = context.folder / _STORED
    if noted.is_file():
        known = noted.read_text("utf-8").strip()
        if trainings.has(known):
            return known
    name = plan.facts.job_name
    packed = context.folder / f"{name}.zip"
    try:
        definition(packed, _code(context), _files(plan))
        id_ = _there(trainings, name, packed) or trainings.store(name, packed)
        noted.write_text(id_, "utf-8")
    except OSError as error:
        raise ProviderError(PROVIDER, f"the code cannot be packed: {error}") from error
    finally:
        packed.unlink(missing_ok=True)
    return id_


def _there(trainings: Trainings, name: str, packed: Path) -> str | None:
    """Return the definition that an interrupted call has stored whole, if there is one."""
    for id_ in trainings.definitions(name):
        found = packed.with_suffix(".found")
        found.unlink(missing_ok=True)
        try:
            trainings.download(id_, found)
            if found.read_bytes() == packed.read_bytes():
                return id_
        except ProviderError as error:
            if error.retryable or error.affects_all_calls:
                raise
            continue  # it was stored in part
        finally:
            found.unlink(missing_ok=True)
    return None


def definition(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write a model definition: the same content, the same bytes.

    Args:
        target: The file.
        source: The folder with the user's code, if there is any.
        files: The launcher's, by their names.

    Raises:
        OSError: If a file cannot be read or written.
    """
    inner = target.with_suffix(".bundle")
    try:
        write_archive(inner, source, SOURCE, files)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
            packed.writestr(zipfile.ZipInfo(PROGRAM, _LONG_AGO), _UNPACK)
            packed.writestr(zipfile.ZipInfo(BUNDLE, _LONG_AGO), inner.read_bytes())
    finally:
        inner.unlink(missing_ok=True)


def model_folder(target: Path, plan: Plan, context: JobContext) -> None:
    """Write the archive of a search: one folder with the launcher and the user's code.

    Raises:
        ProviderError: If the code cannot be read.
    """
    files = {f"{MODEL_FOLDER}/{name}": data for name, data in _files(plan).items()}
    try:
        write_archive(target, _code(context), f"{MODEL_FOLDER}/{SOURCE}", files)
    except OSError as error:
        raise ProviderError(PROVIDER, f"the code cannot be packed: {error}") from error


def bring_inputs(plan: Plan, context: JobContext) -> None:
    """Copy inputs that lie on this machine to the emulator's volume; a cluster is brought none.

    Raises:
        ProviderError: If one cannot be read.
    """
    inputs = plan.facts.lookup.inputs
    for name, path in inputs.uploads.items():
        folder = context.folder / EMULATOR_FOLDER / "volume" / str(inputs.addresses[name])
        try:
            for inner, file in input_files(Path(path)):
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        except OSError as error:
            raise ProviderError(PROVIDER, f"an input cannot be read: {error}") from error


def _code(context: JobContext) -> Path | None:
    folder = context.folder / "source"
    return folder if folder.is_dir() else None


def _files(plan: Plan) -> dict[str, bytes]:
    paths: Mapping[str, str] = plan.facts.data["paths"]
    return launcher_files(plan.fitted, plan.facts.run_id, paths, contract=_CONTRACT)
