"""The emulator's door and protocol: JobService is answered here, all else by Cloud Storage."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.server import carried_out
from cloudtune_vertex.emulator.errors import (
    ServiceError,
    exhausted,
    invalid,
    not_here,
    throttled,
    too_late,
    unavailable,
)
from cloudtune_vertex.emulator.operations import Call, Operations
from cloudtune_vertex.emulator.storage import Storage, body_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

JSON = "application/json; charset=UTF-8"
API = "/v1/"
"""How paths of JobService begin."""
AS = "/as/"
"""How paths begin in which the key follows, for clients that have no credentials to put it into."""

_RESOURCE = r"projects/[^/]+/locations/[^/]+"
_KINDS = {"hyperparameterTuningJobs": "HyperparameterTuningJob", "customJobs": "CustomJob"}
_PATH = re.compile(
    rf"/v1/(?P<parent>{_RESOURCE})/(?P<kind>\w+)(?:/(?P<id>[^/:]+))?(?::(?P<verb>\w+))?"
)
_VERBS: Mapping[tuple[str, bool, str | None], str] = {
    ("POST", False, None): "Create",
    ("GET", False, None): "List",
    ("GET", True, None): "Get",
    ("DELETE", True, None): "Delete",
    ("POST", True, "cancel"): "Cancel",
}

_ERRORS: Mapping[str, Callable[[], ServiceError]] = {
    "throttle": throttled,
    "quota": exhausted,
    "error": unavailable,
    "late_error": too_late,
}


class Vertex:
    """Vertex AI as the emulator has it; an `Emulation`."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        self._storage = Storage(url)
        self._operations = Operations(folder, delays, faults, self._storage, f"{url}{AS}{key}")
        self._faults = faults

    @property
    def app(self) -> WSGIApplication:
        """Answers the requests that were let in."""
        return self._answer

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request shows as its token, or in its path."""
        path: str = environ.get("PATH_INFO", "")
        if path.startswith(AS):
            return path.split("/")[2]
        said: str = environ.get("HTTP_AUTHORIZATION", "")
        return said.removeprefix("Bearer ").strip() or None

    def refuse(self, environ: WSGIEnvironment, why: str) -> tuple[str, str, bytes]:
        """Return a refusal.

        It is not 401, upon which Google's clients try to get a new token and tell of that alone.
        """
        return "403 Forbidden", JSON, _body_of(ServiceError(403, "PERMISSION_DENIED", why))

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables that lead to the emulator.

        The first is that of Google's libraries for Cloud Storage. Clients of JobService have none;
        the others are for whoever makes one.
        """
        return {
            "STORAGE_EMULATOR_HOST": f"{url}{AS}{key}",
            "VERTEX_EMULATOR_HOST": url,
            "VERTEX_EMULATOR_KEY": key,
        }

    def busy(self) -> bool:
        """Tell whether a job runs."""
        return self._operations.busy()

    def close(self) -> None:
        """End everything that runs."""
        self._operations.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path.startswith(AS):
            return self._storage.answer(environ, start_response, _unlocked(environ))
        if path.startswith(API):
            return self._call(environ, start_response)
        return self._storage.answer(environ, start_response)

    def _call(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status = "200 OK"
        try:
            body = self._carried_out(environ)
        except ServiceError as error:
            status, body = f"{error.code} {error.status}", _body_of(error)
        headers = [("Content-Type", JSON), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]

    def _carried_out(self, environ: WSGIEnvironment) -> bytes:
        path: str = environ["PATH_INFO"]
        found = _PATH.fullmatch(path)
        kind = _KINDS.get(found["kind"]) if found else None
        verb = None
        if found:
            verb = _VERBS.get((environ["REQUEST_METHOD"], bool(found["id"]), found["verb"]))
        if found is None or kind is None or verb is None:
            raise not_here(
                f"This emulator does not have {environ['REQUEST_METHOD']} {path}. It has "
                "hyperparameterTuningJobs and customJobs of the version v1: create, get, list, "
                "cancel and delete."
            )
        operation = f"{verb}{kind}" + ("s" if verb == "List" else "")
        resource = found["parent"]
        if found["id"]:
            resource += f"/{found['kind']}/{found['id']}"
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))

        def answer() -> bytes:
            try:
                call = Call(resource, query, body_of(environ))
            except ValueError as error:
                raise invalid(str(error)) from error
            return self._operations.carry_out(operation, call)

        return carried_out(self._faults.of_call(operation), answer, _ERRORS)


def _unlocked(environ: WSGIEnvironment) -> str:
    """Take the part with the key out of a path, and return it."""
    prefix: str = AS + environ["PATH_INFO"].split("/")[2]
    for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
        environ[name] = environ[name].removeprefix(prefix) or "/"
    return prefix


def _body_of(error: ServiceError) -> bytes:
    about = {"code": error.code, "message": error.message, "status": error.status}
    return json.dumps({"error": about}).encode()
