"""Stores the code of a run as a model definition.

A model definition is a zip file, which keeps neither links nor the permission to execute.
Therefore cloudtune's contains the archive that all services get, and a program that unpacks it and
runs the launcher.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from cloudtune.provider import (
    PROGRAM,
    SOURCE,
    START,
    JobContext,
    Plan,
    ProviderError,
    if_found,
    write_archive,
)
from cloudtune.provider.uploads import Uploads
from cloudtune_watson.uploads import packing_error, source_folder, travelling_files
from cloudtune_watson.wml.client import WmlClient

ARCHIVE = "bundle.tar.gz"
_ID_FILE = "definition.txt"
"""The file in a job's folder with the id of its model definition."""
_FIXED_TIME = (2000, 1, 1, 0, 0, 0)

_UNPACK = f"""\
import os
import sys
import tarfile
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
archive, words = os.path.join(here, "{ARCHIVE}"), sys.argv[1:]
{START}"""


def ensure_definition(wml: WmlClient, plan: Plan, context: JobContext) -> str:
    """Return the id of a job's model definition, which is stored unless it exists.

    Raises:
        ProviderError: If the code cannot be read or sent.
    """
    id_file = context.folder / _ID_FILE
    if id_file.is_file():
        id_ = id_file.read_text("utf-8").strip()
        if wml.has_definition(id_):
            return id_
    name = plan.facts.job_name
    packed = context.folder / f"{name}.zip"
    try:
        write_definition(packed, source_folder(context), travelling_files(plan))
        id_ = _find_definition(wml, name, packed) or wml.store(name, packed)
        id_file.write_text(id_, "utf-8")
    except OSError as error:
        raise packing_error(error) from error
    finally:
        packed.unlink(missing_ok=True)
    return id_


class Definitions:
    """The model definitions of a space or project, as the `Folders` of `Uploads`.

    A folder has the definitions with its name; their ids are the objects.
    """

    def __init__(self, wml: WmlClient) -> None:
        self._wml = wml

    def list(self, folder: str) -> dict[str, int]:
        """Return the definitions with a name; their sizes are unknown, and 0.

        There are none if the space or project does not exist any more.
        """
        name = folder.rstrip("/").rpartition("/")[2]
        found = if_found(lambda: self._wml.definitions(name)) or ()
        return {f"{folder}{id_}": 0 for id_ in found}

    def delete(self, addresses: Collection[str]) -> None:
        """Delete definitions."""
        for address in addresses:
            self._wml.delete_definition(address.rpartition("/")[2])


def find_uploads(wml: WmlClient, plan: Plan) -> Uploads:
    """Return what a run has stored: the model definition with its code."""
    return Uploads(Definitions(wml), [], [f"model_definitions/{plan.facts.job_name}/"])


def _find_definition(wml: WmlClient, name: str, packed: Path) -> str | None:
    """Return the model definition that an interrupted call has stored completely, if any."""
    downloaded = packed.with_suffix(".downloaded")
    for id_ in wml.definitions(name):
        downloaded.unlink(missing_ok=True)
        try:
            wml.download(id_, downloaded)
            if downloaded.read_bytes() == packed.read_bytes():
                return id_
        except ProviderError as error:  # an incomplete definition cannot be downloaded
            if error.retryable or error.affects_all_calls:
                raise
            wml.delete_definition(id_)
        finally:
            downloaded.unlink(missing_ok=True)
    return None


def write_definition(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write a model definition; the same content results in the same bytes.

    Args:
        target: The zip file.
        source: The folder with the user's code, if any.
        files: The launcher's files by name.

    Raises:
        OSError: If a file cannot be read or written.
    """
    inner = target.with_suffix(".bundle")
    try:
        write_archive(inner, source, SOURCE, files)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
            packed.writestr(zipfile.ZipInfo(PROGRAM, _FIXED_TIME), _UNPACK)
            packed.writestr(zipfile.ZipInfo(ARCHIVE, _FIXED_TIME), inner.read_bytes())
    finally:
        inner.unlink(missing_ok=True)
