"""The cluster's volume, with a folder for each space and project, and the API for its files.

``spaces/SPACE/assets/PATH`` in an ``fs`` reference is ``PATH`` of that space in the API for files.
ibm_watsonx_ai 1.8.1 reads files on Cloud Pak for Data with ``GET /v2/asset_files/PATH``
(``helpers/connections/base_data_connection.py:1022``), ``?flat=true`` for a list of all with
``resources``, ``path`` and ``type`` (``connections.py:2105-2135``), ``HEAD`` with
``X-Asset-Files-Type`` and ``X-Asset-Files-Size`` (``FSLocation._get_file_size``). The responses of
PUT and DELETE are chosen.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from cloudtune.emulator_kit import Json, Response, json_response, operation
from cloudtune_watson.emulator.errors import invalid, not_found
from cloudtune_watson.emulator.wire import Call

Scope = tuple[str, str]
"""``space_id`` or ``project_id``, and its value."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FOLDERS = {"space_id": "spaces", "project_id": "projects"}
_MAX_NAME = 200
"""Bytes of one name of a path."""
_MAX_PATH = 3_000
"""Bytes of a whole path on this machine."""
_FILES = "/v2/asset_files/{*}"


def scope_of(space: object, project: object) -> Scope:
    """Return the space or the project of a request; every valid name exists.

    Raises:
        ServiceError: Unless there is exactly one.
    """
    if (space is None) == (project is None):
        raise invalid("Exactly one of space_id and project_id is required.")
    kind, name = ("space_id", space) if project is None else ("project_id", project)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise not_found(f"The {kind.removesuffix('_id')} {name!r} does not exist.")
    return kind, name


def scope_in(call: Call) -> Scope:
    """Return the space or the project in a call's query; see `scope_of`."""
    return scope_of(call.one("space_id"), call.one("project_id"))


class Volume:
    """The files of all spaces and projects, and of the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Stands in for the volume with data, ``DLI_DATA_FS``."""
        folder.mkdir(parents=True, exist_ok=True)

    def at(self, path: str) -> Path:
        """Return the local path of a path of the volume, which need not exist.

        Raises:
            ServiceError: If it leads out of the volume, or is invalid.
        """
        return _below(self.folder, path)

    def file(self, scope: Scope, path: str) -> Path:
        """Return the local path of a file of a space; see `at`."""
        return _below(self.folder / _FOLDERS[scope[0]] / scope[1] / "assets", path)


def _below(top: Path, path: str) -> Path:
    """Return a path below a folder, and not behind a link that leads out of it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or any(len(part.encode()) > _MAX_NAME for part in parts):
        raise invalid(f"{path[:_MAX_NAME]!r} is not a path of the volume.")
    root = Path(os.path.realpath(top))
    target = root.joinpath(*parts)
    # Path.resolve() raises if links form a circle.
    inside = Path(os.path.realpath(target)).is_relative_to(root)
    if len(os.fsencode(target)) > _MAX_PATH or not inside:
        raise invalid(f"{path[:_MAX_NAME]!r} is not a path of the volume.")
    return target


def files(folder: Path) -> Sequence[Path]:
    """Return all files below a folder, which scripts may change meanwhile."""
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in paths if path.is_file())


def _row(path: Path, top: Path) -> Json:
    row: Json = {"path": path.relative_to(top).as_posix()}
    if path.is_dir():
        return row | {"type": "folder"}
    try:
        return row | {"type": "file", "size": path.stat().st_size}
    except OSError:  # deleted meanwhile, or a broken link
        return row | {"type": "file", "size": 0}


class Files:
    """The files of all spaces and projects."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @operation("GET", _FILES, name="GetFile")
    def read(self, call: Call) -> Response:
        """GET /v2/asset_files/{path}: a file's content, or the entries of a folder."""
        scope, path = scope_in(call), call.names["path"]
        target = self._volume.file(scope, path)
        if target.is_file():
            return Response(200, target.read_bytes(), "application/octet-stream")
        if path and not target.is_dir():
            raise not_found(f"The file {path!r} cannot be found.")
        entries = files(target) if call.one("flat") == "true" else sorted(target.glob("*"))
        top = self._volume.file(scope, "")
        return json_response({"resources": [_row(each, top) for each in entries]})

    @operation("HEAD", _FILES, name="HeadFile")
    def head(self, call: Call) -> Response:
        """HEAD /v2/asset_files/{path}."""
        target = self._volume.file(scope_in(call), call.names["path"])
        if not target.exists():
            return Response(404)
        kind = "file" if target.is_file() else "folder"
        size = str(target.stat().st_size)
        return Response(200, headers=[("X-Asset-Files-Type", kind), ("X-Asset-Files-Size", size)])

    @operation("PUT", _FILES, name="PutFile")
    def put(self, call: Call) -> Response:
        """PUT /v2/asset_files/{path}: a form with ``file``, or the content itself."""
        scope, path = scope_in(call), call.names["path"]
        if call.form or call.files:
            if "file" not in call.files:
                raise invalid("The form must have the field file.")
            content = call.files["file"].content
        else:
            content = io.BytesIO(call.body)
        target = self._volume.file(scope, path)
        if target == self._volume.file(scope, ""):
            raise invalid("A file needs a name.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        except OSError as error:  # a file or a folder is in its way
            raise invalid(f"{path} cannot be written: {error.strerror}") from error
        return json_response({"path": path, "type": "file", "size": target.stat().st_size}, 201)

    @operation("DELETE", _FILES, name="DeleteFile")
    def delete(self, call: Call) -> Response:
        """DELETE /v2/asset_files/{path}: a file, or a folder with its content."""
        path = call.names["path"].strip("/")
        target = self._volume.file(scope_in(call), path)
        if not path or not target.exists():
            raise not_found(f"The file {path!r} cannot be found.")
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
        return Response(204)
