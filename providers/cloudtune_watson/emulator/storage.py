"""The cluster's volume: folders on this machine, one below another for each space and project.

What an ``fs`` reference calls ``spaces/SPACE/assets/PATH`` is what the API for files calls ``PATH``
of that space (``base_data_connection.py:1022`` of ibm_watsonx_ai 1.8.1).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from cloudtune.study.schema import Json
from cloudtune_watson.emulator.errors import invalid, not_found
from cloudtune_watson.emulator.wire import Call

Scope = tuple[str, str]
"""``space_id`` or ``project_id``, and which."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FOLDERS = {"space_id": "spaces", "project_id": "projects"}
_LONGEST = 200
"""Bytes of one name of a path."""
_DEEPEST = 3_000
"""Bytes of a whole path on this machine."""


def scope_of(space: object, project: object) -> Scope:
    """Return the space or the project that a request names.

    Every name that can be one is that of a space: nobody sets up an emulator's spaces.

    Raises:
        ServiceError: If there is not exactly one.
    """
    if (space is None) == (project is None):
        raise invalid("Exactly one of space_id and project_id is required.")
    kind, name = ("space_id", space) if project is None else ("project_id", project)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise not_found(f"There is no {kind.removesuffix('_id')} {name!r}.")
    return kind, name


def scope_in(call: Call) -> Scope:
    """Return the space or the project that a call's query names; as `scope_of`."""
    return scope_of(call.one("space_id"), call.one("project_id"))


class Volume:
    """The files of all spaces and projects, and of the cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """What stands for the volume with data, ``DLI_DATA_FS``."""
        return self._folder

    def at(self, path: str) -> Path:
        """Return where a path of the volume is here; nothing need be there.

        Raises:
            ServiceError: If it leads out of the volume, or can be no path.
        """
        return _below(self._folder, path)

    def file(self, scope: Scope, path: str) -> Path:
        """Return where a file of a space is here; as `at`."""
        return _below(self._assets(scope), path)

    def reference(self, scope: Scope, path: str) -> str:
        """Return what an ``fs`` reference calls a path of a space."""
        return f"{_FOLDERS[scope[0]]}/{scope[1]}/assets/{path}"

    def rows(self, scope: Scope, path: str, *, flat: bool) -> list[Json]:
        """Return what is in a folder of a space; with ``flat`` the files in all folders below."""
        top, folder = self._assets(scope), self.file(scope, path)
        if not folder.is_dir():
            return []
        found = files(folder) if flat else sorted(folder.iterdir())
        return [_row(each, top) for each in found]

    def put(self, scope: Scope, path: str, content: IO[bytes]) -> Path:
        """Write a file of a space.

        Raises:
            ServiceError: If a file or a folder is in its way.
        """
        target = self.file(scope, path)
        if target == Path(os.path.realpath(self._assets(scope))):
            raise invalid("A file needs a name.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        except OSError as error:
            raise invalid(f"{path} cannot be written: {error.strerror}") from error
        return target

    def _assets(self, scope: Scope) -> Path:
        return self._folder / _FOLDERS[scope[0]] / scope[1] / "assets"


def _below(top: Path, path: str) -> Path:
    """Return a path below a folder; what scripts have linked elsewhere is not."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or any(len(part.encode()) > _LONGEST for part in parts):
        raise invalid(f"{path[:_LONGEST]!r} is no path of the volume.")
    whole = Path(os.path.realpath(top))
    found = whole.joinpath(*parts)
    # Path.resolve() raises where links lead in a circle.
    if len(os.fsencode(found)) > _DEEPEST or not Path(os.path.realpath(found)).is_relative_to(
        whole
    ):
        raise invalid(f"{path[:_LONGEST]!r} is no path of the volume.")
    return found


def files(folder: Path) -> Sequence[Path]:
    """Return all files in a folder and in those below, while scripts may change them."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file())


def _row(path: Path, top: Path) -> Json:
    row: Json = {"path": path.relative_to(os.path.realpath(top)).as_posix()}
    if path.is_dir():
        return row | {"type": "folder"}
    try:
        return row | {"type": "file", "size": path.stat().st_size}
    except OSError:  # it is gone by now, or a link that leads nowhere
        return row | {"type": "file", "size": 0}
