"""The REST API of WML Accelerator: searches, their algorithms and their executions.

Paths and methods are those of ibm-wmla 0.1.1 (``wmla_api_v1.py``) and of dlicmd 4.8.2 of
IBM/wmla-assets; PUT stops a search. What a stop and a deletion answer is chosen, as is that a
search which has ended cannot be stopped.
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

from cloudtune.errors import StudyError
from cloudtune.study.schema import Json
from cloudtune_watson.contract import BadSpec
from cloudtune_watson.emulator.errors import conflict, invalid, not_found, not_here
from cloudtune_watson.emulator.platform import STANDALONE, version
from cloudtune_watson.emulator.rules import ALGORITHMS, check
from cloudtune_watson.emulator.script import MODEL_DIR, check_tar
from cloudtune_watson.emulator.searches import CREATOR, Experiment, Search, execution, told
from cloudtune_watson.emulator.storage import files
from cloudtune_watson.emulator.tuner import Tuner, Workshop, forget
from cloudtune_watson.emulator.wire import Answer, Call, Upload, parsed, said

PATH = "/platform/rest/deeplearning/v1/hypersearch"
_LONGEST = 200
_NO_NAMES = ("algorithm", ".", "..")
"""What leads elsewhere in a path."""
_NEWER = 4.0
"""The version of Cloud Pak for Data from which on a search is answered with an object: the HPO
notebooks for the accelerator alone and for 3.5 read a text, later ones ``uid``."""


class Hypersearch:
    """All searches and their executions."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self._shop = shop
        self._folder = folder
        self._tuners: dict[str, Tuner] = {}
        """By the names of their searches."""

    def busy(self) -> bool:
        """Tell whether any search runs."""
        return any(tuner.busy() for tuner in list(self._tuners.values()))

    def start(self, call: Call) -> Answer:
        """POST /hypersearch: a form with ``file``, and with ``data`` as a text."""
        if "file" not in call.files or "data" not in call.form:
            raise invalid("A form with the fields file and data is required.")
        data = parsed(call.form["data"])
        check(data, standalone=version() == STANDALONE)
        name = _name_of(data)
        if name in self._tuners:
            raise conflict(f"There is a search with the name {name!r} already.")
        upload = call.files["file"]
        archive = self._kept(upload)
        try:
            tuner = Tuner(Search(name, data, archive, Path(upload.name).name), self._shop)
        except (StudyError, ValueError) as error:
            shutil.rmtree(archive.parent, ignore_errors=True)
            raise not_here(f"This emulator's search cannot run it: {error}") from error
        self._tuners[name] = tuner
        tuner.start()
        if _is_older():
            return said(name)
        return said({"uid": name, "href": f"{PATH}/{name}"}, 201)

    def list(self, _call: Call) -> Answer:
        """GET /hypersearch."""
        return said([told(tuner.search) for tuner in self._tuners.values()])

    def get(self, call: Call) -> Answer:
        """GET /hypersearch/{name}."""
        return said(told(self._tuner(call).search))

    def stop(self, call: Call) -> Answer:
        """PUT /hypersearch/{name}."""
        return self._stopped(call, now=False)

    def force_stop(self, call: Call) -> Answer:
        """PUT /hypersearch/{name}/force."""
        return self._stopped(call, now=True)

    def delete(self, call: Call) -> Answer:
        """DELETE /hypersearch/{name}: ends it, if need be."""
        self._forget(self._tuner(call))
        return Answer(204)

    def delete_all(self, _call: Call) -> Answer:
        """DELETE /hypersearch."""
        for tuner in list(self._tuners.values()):
            self._forget(tuner)
        return Answer(204)

    def algorithms(self, call: Call) -> Answer:
        """GET /hypersearch/algorithm: the list says TPE, requests Tpe."""
        rows: list[Json] = [
            {"name": n.replace("Tpe", "TPE"), "type": "BUILD_IN"} for n in ALGORITHMS
        ]
        return said(rows if call.one("type", "BUILD_IN") == "BUILD_IN" else [])

    def list_execs(self, _call: Call) -> Answer:
        """GET /execs."""
        return said([execution(each) for each in self._experiments().values()])

    def get_exec(self, call: Call) -> Answer:
        """GET /execs/{id}."""
        return said(execution(self._experiment(call)))

    def exec_log(self, call: Call) -> Answer:
        """GET /execs/{id}/log: what it has printed, so far."""
        try:
            text = self._experiment(call).job.log.read_bytes()
        except OSError:
            text = b""
        return Answer(200, text, "text/plain; charset=utf-8")

    def exec_result(self, call: Call) -> Answer:
        """GET /execs/{id}/result: its folder for results, as a zip."""
        job = self._experiment(call).job
        folder = self._shop.volume.at(f"batchworkdir/{job.id}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
            for path in files(folder):
                archive.write(path, path.relative_to(folder))
        name = f"attachment;filename=train_result_{job.id}.zip"
        return Answer(200, packed.getvalue(), "application/zip", [("Content-Disposition", name)])

    def stop_exec(self, call: Call) -> Answer:
        """POST /execs/{id}/stop."""
        self._shop.jobs.stop(self._experiment(call).job)
        return said({})

    def _stopped(self, call: Call, *, now: bool) -> Answer:
        tuner = self._tuner(call)
        if tuner.search.over:
            raise invalid(f"The search is {tuner.search.state}, so that it cannot be stopped.")
        tuner.stop(now=now)
        return said({})

    def _forget(self, tuner: Tuner) -> None:
        search = tuner.search
        if search.over:
            forget(search, self._shop.volume)
        else:
            tuner.stop(now=True)
        del self._tuners[search.name]

    def _tuner(self, call: Call) -> Tuner:
        found = self._tuners.get(call.named["name"])
        if found is None:
            raise not_found(f"There is no search {call.named['name']!r}.")
        return found

    def _experiments(self) -> Mapping[str, Experiment]:
        found = [each for tuner in self._tuners.values() for each in tuner.search.experiments]
        return {each.job.id: each for each in found}

    def _experiment(self, call: Call) -> Experiment:
        found = self._experiments().get(call.named["exec"])
        if found is None:
            raise not_found(f"There is no execution {call.named['exec']!r}.")
        return found

    def _kept(self, upload: Upload) -> Path:
        """Keep the archive of a search; return where."""
        name = Path(upload.name).name
        if not name or len(name.encode()) > _LONGEST or "\0" in name:
            raise invalid("The field file must have a file name.")
        folder = self._folder / secrets.token_hex(8)
        folder.mkdir(parents=True)
        archive = folder / "archive"
        with archive.open("wb") as file:
            shutil.copyfileobj(upload.content, file)
        if name.endswith(MODEL_DIR):
            try:
                check_tar(archive)
            except BadSpec as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise invalid(f"The file {name!r}: {error}") from error
        return archive


def _name_of(data: Any) -> str:
    name: str = data.get("hpoName") or f"{CREATOR}-hpo-{time.monotonic_ns()}"
    if "/" in name or len(name) > _LONGEST or name.strip() != name or name in _NO_NAMES:
        raise invalid("'hpoName' can be no name of a search.")
    return name


def _is_older() -> bool:
    """Tell whether a search is answered with a text."""
    try:
        return float(".".join(version().split(".")[:2])) < _NEWER
    except ValueError:
        return True
