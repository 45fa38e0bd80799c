"""The emulator's protocol: JobService is answered here, all else by Cloud Storage."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, parse_qsl

from cloudtune.emulator_kit import App, ConnectionLost, Delays, FaultPlan, Response
from cloudtune_vertex.emulator import metadata
from cloudtune_vertex.emulator.account import Account, AccountCall, account_call
from cloudtune_vertex.emulator.errors import (
    ServiceError,
    denied,
    exhausted,
    expired,
    invalid,
    throttled,
    timed_out,
    unavailable,
    unimplemented,
)
from cloudtune_vertex.emulator.models import Models
from cloudtune_vertex.emulator.operations import OPERATIONS, Call, Operations
from cloudtune_vertex.emulator.persistent_resources import PersistentResources
from cloudtune_vertex.emulator.state import CustomJob, TrainingPipeline, TuningJob
from cloudtune_vertex.emulator.storage import Storage, body_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

API = ("/v1/", "/v1beta1/")
"""The prefixes of JobService's paths. Requests of the beta version may only have fields of v1."""
KEY_PREFIX = "/as/"
"""The prefix of paths with the key, for clients without credentials."""

_LOCATION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]+")
"""The form of all regions in google-cloud-aiplatform 2.7.0, constants/base.py. The service's words
for others are not verified."""
_RESOURCE = r"projects/[^/]+/locations/[^/]+"
_KINDS = {
    **{kind.COLLECTION: kind.KIND for kind in (TuningJob, CustomJob, TrainingPipeline)},
    **{kind.COLLECTION: kind.KIND for kind in (PersistentResources, Models)},
    "operations": "Operation",
}
_PATH = re.compile(
    rf"/v1(?:beta1)?/(?P<parent>{_RESOURCE})/(?P<kind>\w+)(?:/(?P<id>[^/:]+))?(?::(?P<verb>\w+))?"
)
_VERBS: Mapping[tuple[str, bool, str | None], str] = {
    ("POST", False, None): "Create",
    ("GET", False, None): "List",
    ("GET", True, None): "Get",
    ("DELETE", True, None): "Delete",
    ("POST", True, "cancel"): "Cancel",
    ("POST", True, "wait"): "Wait",
}


class VertexApp(App):
    """The application for Vertex AI."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": exhausted,
        "error": unavailable,
        "late_error": timed_out,
        "expire": expired,
    }

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        self._storage = Storage(url)
        storage_url = f"{url}{KEY_PREFIX}{key}"
        self._operations = Operations(folder, delays, faults, self._storage, storage_url)
        super().__init__(self._operations)
        self._storage.log_calls(self.calls)
        self._account = Account(faults, self._storage, self.calls)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request has as its token, or in its path."""
        path: str = environ.get("PATH_INFO", "")
        if path.startswith(KEY_PREFIX):
            return path.split("/")[2]
        header: str = environ.get("HTTP_AUTHORIZATION", "")
        return header.removeprefix("Bearer ").strip() or None

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal.

        It is not 401, after which Google's clients try to get a new token and report only that.
        """
        return ServiceError(403, "PERMISSION_DENIED", reason).response()

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation that the caller may not use; it names the permission.

        Google's page "IAM permissions" names all of JobService ``aiplatform.KIND.VERB``.
        """
        kinds = {f"{verb}{kind}": name for name, kind in _KINDS.items() for verb in _VERBS.values()}
        name = operation if operation in kinds else operation.removesuffix("s")
        if name not in kinds:
            return denied(operation)
        verb = re.sub(r"(?<=[a-z])[A-Z].*", "", operation)
        return denied(f"aiplatform.{kinds[name]}.{verb.lower()}")

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables that lead to the emulator.

        Google's libraries for Cloud Storage read the first. Clients of JobService read none; the
        others are for code that creates such a client.
        """
        return {
            "STORAGE_EMULATOR_HOST": f"{url}{KEY_PREFIX}{key}",
            "VERTEX_EMULATOR_HOST": url,
            "VERTEX_EMULATOR_KEY": key,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a call of JobService; the storage responds to any other."""
        path: str = environ.get("PATH_INFO", "")
        prefix = _remove_key(environ) if path.startswith(KEY_PREFIX) else ""
        if path.startswith(API) or _account_call(environ):
            return super().__call__(environ, start_response)
        return self._storage.answer(environ, start_response, prefix, self._refuse_storage)

    def _refuse_storage(self, permission: str, bucket: str) -> Response | None:
        """Record the use of a permission; return the refusal that the fault plan has for it."""
        self.calls.add("client", permission, f"projects/_/buckets/{bucket}")
        fault = self._faults.next_call(permission, is_other=True)
        effect = fault.effect if fault else ""
        if effect == "lose_response":
            raise ConnectionLost("the fault plan loses this response")
        if effect == "deny":
            return denied(permission).response()
        return self.FAULTS[effect]().response() if effect in self.FAULTS else None

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call of JobService.

        Raises:
            ServiceError: If the service would refuse it.
        """
        if account_call := _account_call(environ):
            fault = self._faults.next_call(account_call.operation, is_other=True)
            used_up = fault is not None and fault.effect == "quota"
            return self.respond_with(
                None if used_up else fault,
                account_call.operation,
                lambda: self._account.respond(account_call, used_up=used_up),
            )
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        match = _PATH.fullmatch(path)
        if metadata_match := metadata.PATH.fullmatch(path):
            query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
            return self._operations.metadata(method, metadata_match, query, body_of(environ))
        kind = _KINDS.get(match["kind"]) if match else None
        verb = _VERBS.get((method, bool(match["id"]), match["verb"])) if match else None
        operation = f"{verb}{kind}" + ("s" if verb == "List" else "")
        if match is None or kind is None or operation not in OPERATIONS:
            raise unimplemented(
                f"This emulator does not have {method} {path}. It has {', '.join(_KINDS)} (create, "
                "get, list, cancel and delete), the metadata store of experiments and Cloud "
                "Storage; not endpoints, datasets and TensorBoard. Models come from training "
                "pipelines; experiments need experiment_tensorboard=False."
            )
        location = match["parent"].split("/")[3]
        if not _LOCATION.fullmatch(location):
            raise invalid(f"Location ID '{location}' is not supported.")
        assert verb is not None
        permission = f"aiplatform.{match['kind']}.{verb.lower()}"
        project = match["parent"].split("/")[1]
        self._account.require_api("aiplatform.googleapis.com", project)
        self.calls.add("client", permission, f"projects/{project}")
        if self._faults.denies(permission):
            raise denied(permission)
        resource = match["parent"] + (f"/{match['kind']}/{match['id']}" if match["id"] else "")
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))

        def respond() -> Response:
            try:
                call = Call(resource, query, body_of(environ))
            except ValueError as error:
                raise invalid(str(error)) from error
            return self._operations.carry_out(operation, call)

        return self.carry_out(operation, respond)


def _raw_path(environ: WSGIEnvironment) -> str:
    """Return the path of a request, with escaped slashes."""
    raw: str = environ.get("RAW_URI") or environ["PATH_INFO"]
    return raw.partition("?")[0]


def _account_call(environ: WSGIEnvironment) -> AccountCall | None:
    """Return the call of another service than JobService, whose body is then read."""
    query = parse_qs(environ.get("QUERY_STRING", ""))

    def read() -> bytes:
        body = body_of(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        return body

    method: str = environ["REQUEST_METHOD"]
    return account_call(method, _raw_path(environ), query, read)


def _remove_key(environ: WSGIEnvironment) -> str:
    """Remove the part with the key from a request's path, and return it."""
    prefix: str = KEY_PREFIX + environ["PATH_INFO"].split("/")[2]
    for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
        environ[name] = environ[name].removeprefix(prefix) or "/"
    return prefix
