"""The files of a space or a project: how clients put data there and read what trainings left.

ibm_watsonx_ai 1.8.1 reads them so on Cloud Pak for Data: ``GET /v2/asset_files/PATH``
(``helpers/connections/base_data_connection.py:1022``), ``?flat=true`` for a list of all with
``resources``, ``path`` and ``type`` (``connections.py:2105-2135``), ``HEAD`` with
``X-Asset-Files-Type`` and ``X-Asset-Files-Size`` (``FSLocation._get_file_size``). What PUT and
DELETE answer is chosen.
"""

from __future__ import annotations

import io
import shutil

from cloudtune_watson.emulator.errors import invalid, not_found
from cloudtune_watson.emulator.storage import Volume, scope_in
from cloudtune_watson.emulator.wire import Answer, Call, said


class Files:
    """The files of all spaces and projects."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def read(self, call: Call) -> Answer:
        """GET /v2/asset_files/{path}: a file's content, or what is in a folder."""
        scope, path = scope_in(call), call.named["path"]
        found = self._volume.file(scope, path)
        if found.is_file():
            return Answer(200, found.read_bytes(), "application/octet-stream")
        if path and not found.is_dir():
            raise not_found(f"The file {path!r} cannot be found.")
        flat = call.one("flat") == "true"
        return said({"resources": self._volume.rows(scope, path, flat=flat)})

    def look(self, call: Call) -> Answer:
        """HEAD /v2/asset_files/{path}."""
        found = self._volume.file(scope_in(call), call.named["path"])
        if not found.exists():
            return Answer(404)
        kind = "file" if found.is_file() else "folder"
        size = str(found.stat().st_size)
        return Answer(200, headers=[("X-Asset-Files-Type", kind), ("X-Asset-Files-Size", size)])

    def put(self, call: Call) -> Answer:
        """PUT /v2/asset_files/{path}: a form with ``file``, or the content itself."""
        path = call.named["path"]
        if call.form or call.files:
            if "file" not in call.files:
                raise invalid("The form must have the field file.")
            content = call.files["file"].content
        else:
            content = io.BytesIO(call.body)
        written = self._volume.put(scope_in(call), path, content)
        return said({"path": path, "type": "file", "size": written.stat().st_size}, 201)

    def delete(self, call: Call) -> Answer:
        """DELETE /v2/asset_files/{path}: a file, or a folder with all that is in it."""
        path = call.named["path"].strip("/")
        found = self._volume.file(scope_in(call), path)
        if not path or not found.exists():
            raise not_found(f"The file {path!r} cannot be found.")
        if found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)
        return Answer(204)
