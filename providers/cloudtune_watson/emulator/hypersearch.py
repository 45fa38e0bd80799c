"""The REST API of WML Accelerator: searches, their algorithms and their executions.

Paths and methods are those of ibm-wmla 0.1.1 (``wmla_api_v1.py``) and of dlicmd 4.8.2 of
IBM/wmla-assets; PUT stops a search. The responses of a stop and a deletion are chosen, as
is that a search that has ended cannot be stopped.
"""

from __future__ import annotations

import io
import secrets
import shutil
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import Context, Json, Response, StudyError, json_response, operation
from cloudtune_watson.contract import InvalidSpecError
from cloudtune_watson.emulator import views
from cloudtune_watson.emulator.errors import conflict, invalid, not_found, unimplemented
from cloudtune_watson.emulator.platform import STANDALONE, version
from cloudtune_watson.emulator.rules.search import ALGORITHMS, check
from cloudtune_watson.emulator.script import MODEL_DIR, check_tar
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.state import Experiment, Search
from cloudtune_watson.emulator.storage import Volume, files
from cloudtune_watson.emulator.tuner import Tuner, delete_files
from cloudtune_watson.emulator.wire import Call, Upload, parse_json

PATH = "/platform/rest/deeplearning/v1/hypersearch"
_MAX_NAME = 200
_RESERVED_NAMES = ("algorithm", ".", "..")
"""Names that lead elsewhere in a path."""
_WMLA = "/platform/rest/deeplearning/v1"
_SEARCH = f"{_WMLA}/hypersearch/{{name}}"
_EXEC = f"{_WMLA}/execs/{{exec}}"


class Hypersearch:
    """All searches and their executions."""

    def __init__(self, volume: Volume, tuners: dict[str, Tuner], context: Context[Jobs]) -> None:
        """Create an API without searches.

        Args:
            volume: The cluster's volume.
            tuners: The tuner of each search, by the search's name.
            context: What searches work with.
        """
        self._volume = volume
        self._tuners = tuners
        self._context = context

    @operation("POST", f"{_WMLA}/hypersearch", name="StartSearch")
    def start(self, call: Call) -> Response:
        """POST /hypersearch: a form with a file and ``data``, which is JSON.

        The field of the file is ``file``, or has the name of the file, as in
        ``CPD3.5.0-model-hyperparameter-optimization-via-wmla-api.ipynb`` of IBM/wmla-assets. The
        response there is an object, and a string in the notebooks for the accelerator only.
        """
        if len(call.files) != 1 or "data" not in call.form:
            raise invalid("A form with one file and the field data is required.")
        data = parse_json(call.form["data"])
        check(data, standalone=version() == STANDALONE)
        name = _name_of(data)
        if name in self._tuners:
            raise conflict(f"A search with the name {name!r} already exists.")
        (upload,) = call.files.values()
        archive = self._store_archive(upload)
        try:
            tuner = Tuner(
                Search(name, data, archive, Path(upload.name).name), self._volume, self._context
            )
        except (StudyError, ValueError) as error:
            shutil.rmtree(archive.parent, ignore_errors=True)
            raise unimplemented(f"This emulator's search cannot run it: {error}") from error
        self._tuners[name] = tuner
        tuner.start()
        if version() == STANDALONE:
            return json_response(name)
        return json_response({"uid": name, "href": f"{PATH}/{name}"}, 201)

    @operation("GET", f"{_WMLA}/hypersearch", name="ListSearches")
    def list(self, _call: Call) -> Response:
        """GET /hypersearch."""
        return json_response([self._view(tuner) for tuner in self._tuners.values()])

    @operation("GET", f"{_WMLA}/hypersearch/algorithm", name="ListAlgorithms")
    def algorithms(self, call: Call) -> Response:
        """GET /hypersearch/algorithm: the list has TPE, requests Tpe."""
        rows: list[Json] = [
            {"name": n.replace("Tpe", "TPE"), "type": "BUILD_IN"} for n in ALGORITHMS
        ]
        return json_response(rows if call.one("type", "BUILD_IN") == "BUILD_IN" else [])

    @operation("GET", _SEARCH, name="GetSearch")
    def get(self, call: Call) -> Response:
        """GET /hypersearch/{name}."""
        return json_response(self._view(self._tuner(call)))

    @operation("PUT", _SEARCH, name="StopSearch")
    def stop(self, call: Call) -> Response:
        """PUT /hypersearch/{name}."""
        return self._stop(call, now=False)

    @operation("PUT", f"{_SEARCH}/force", name="ForceStopSearch")
    def force_stop(self, call: Call) -> Response:
        """PUT /hypersearch/{name}/force."""
        return self._stop(call, now=True)

    @operation("DELETE", _SEARCH, name="DeleteSearch")
    def delete(self, call: Call) -> Response:
        """DELETE /hypersearch/{name}: a running search ends."""
        self._delete(self._tuner(call))
        return Response(204)

    @operation("DELETE", f"{_WMLA}/hypersearch", name="DeleteSearches")
    def delete_all(self, _call: Call) -> Response:
        """DELETE /hypersearch."""
        for tuner in list(self._tuners.values()):
            self._delete(tuner)
        return Response(204)

    @operation("GET", f"{_WMLA}/execs/?")
    def list_execs(self, _call: Call) -> Response:
        """GET /execs."""
        return json_response([views.execution(each) for each in self._experiments().values()])

    @operation("GET", _EXEC)
    def get_exec(self, call: Call) -> Response:
        """GET /execs/{id}."""
        return json_response(views.execution(self._experiment(call)))

    @operation("GET", f"{_EXEC}/log", name="GetExecLog")
    def exec_log(self, call: Call) -> Response:
        """GET /execs/{id}/log: its output so far."""
        try:
            text = self._experiment(call).job.log.read_bytes()
        except OSError:
            text = b""
        return Response(200, text, "text/plain; charset=utf-8")

    @operation("GET", f"{_EXEC}/result", name="GetExecResult")
    def exec_result(self, call: Call) -> Response:
        """GET /execs/{id}/result: its folder of results, as a zip."""
        job = self._experiment(call).job
        folder = self._volume.at(f"batchworkdir/{job.id}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
            for path in files(folder):
                archive.write(path, path.relative_to(folder))
        name = f"attachment;filename=train_result_{job.id}.zip"
        return Response(200, packed.getvalue(), "application/zip", [("Content-Disposition", name)])

    @operation("POST", f"{_EXEC}/stop")
    def stop_exec(self, call: Call) -> Response:
        """POST /execs/{id}/stop."""
        self._context.jobs.stop(self._experiment(call).job)
        return json_response({})

    @staticmethod
    def _view(tuner: Tuner) -> Json:
        return views.search(tuner.job, standalone=version() == STANDALONE)

    def _stop(self, call: Call, *, now: bool) -> Response:
        tuner = self._tuner(call)
        if tuner.job.is_over:
            raise invalid(f"The search is {tuner.job.state}, so it cannot be stopped.")
        tuner.stop(now=now)
        return json_response({})

    def _delete(self, tuner: Tuner) -> None:
        search = tuner.job
        if search.is_over:
            delete_files(search, self._volume)
        else:
            tuner.stop(now=True)
        del self._tuners[search.name]

    def _tuner(self, call: Call) -> Tuner:
        tuner = self._tuners.get(call.names["name"])
        if tuner is None:
            raise not_found(f"The search {call.names['name']!r} does not exist.")
        return tuner

    def _experiments(self) -> Mapping[str, Experiment]:
        tuners = self._tuners.values()
        return {each.job.id: each for tuner in tuners for each in tuner.job.experiments}

    def _experiment(self, call: Call) -> Experiment:
        experiment = self._experiments().get(call.names["exec"])
        if experiment is None:
            raise not_found(f"The execution {call.names['exec']!r} does not exist.")
        return experiment

    def _store_archive(self, upload: Upload) -> Path:
        """Store the archive of a search and return its path."""
        name = Path(upload.name).name
        if not name or len(name.encode()) > _MAX_NAME or "\0" in name:
            raise invalid("The field file must have a file name.")
        folder = self._context.folder / "searches" / secrets.token_hex(8)
        folder.mkdir(parents=True)
        archive = folder / "archive"
        with archive.open("wb") as file:
            shutil.copyfileobj(upload.content, file)
        if name.endswith(MODEL_DIR):
            try:
                check_tar(archive)
            except InvalidSpecError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise invalid(f"The file {name!r}: {error}") from error
        return archive


def _name_of(data: Any) -> str:
    name: str = data.get("hpoName") or f"{views.CREATOR}-hpo-{time.monotonic_ns()}"
    if "/" in name or len(name) > _MAX_NAME or name.strip() != name or name in _RESERVED_NAMES:
        raise invalid("'hpoName' is not a valid name of a search.")
    return name
