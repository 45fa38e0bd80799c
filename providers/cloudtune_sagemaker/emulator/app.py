"""The emulator's protocol: SageMaker's calls are answered here, all others by moto."""

from __future__ import annotations

import io
import re
import threading
import traceback
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs
from weakref import WeakValueDictionary
from wsgiref.headers import Headers

from cloudtune.emulator_kit import App, Delays, FaultPlan, MissingExtraError, Response
from cloudtune_sagemaker.emulator import refusals, storage, wire
from cloudtune_sagemaker.emulator.errors import (
    JSON,
    ServiceError,
    denied,
    expired,
    internal,
    limit_exceeded,
    request_id,
    throttled,
)
from cloudtune_sagemaker.emulator.identity import Identity
from cloudtune_sagemaker.emulator.known import KNOWN_HERE
from cloudtune_sagemaker.emulator.operations import OPERATIONS, Operations
from cloudtune_sagemaker.emulator.rights import (
    PASS_ROLE,
    OtherCall,
    deletes_objects,
    other_call,
    sagemaker_rights,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import WSGIRequestHandler

TARGET = "SageMaker."
"""The prefix of X-Amz-Target in calls of the SageMaker client."""
METRICS = "BatchGetMetrics"
"""The only operation of the sagemaker-metrics client, which has no X-Amz-Target."""
MAX_BYTES = 8 * 1024 * 1024
"""Of the body of a call."""
DEFAULT_REGION = "us-east-1"
QUOTA = (
    "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances, with "
    "current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service "
    "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact "
    "AWS support to request an increase for this quota."
)
"""Recorded with other types and numbers, with both operations that create jobs, 2025 and 2026
(tests/recordings/sagemaker/texts_create_refused)."""

_READS = 10
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}")
"""As in botocore 1.44.8, endpoints.json, ``regionRegex`` of all partitions together."""
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[0-9]{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")


class SageMakerApp(App):
    """The application for SageMaker."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": lambda: limit_exceeded(QUOTA),
        "error": internal,
        "late_error": internal,
        "expire": expired,
    }

    def __init__(
        self, folder: Path, delays: Delays, faults: FaultPlan, _url: str, _key: str
    ) -> None:
        self._operations = Operations(folder, delays, faults)
        super().__init__(self._operations)
        storage.log_calls(self.calls)
        self._identity = Identity(faults)
        self._lock = threading.Lock()
        self._writing: WeakValueDictionary[str, Any] = WeakValueDictionary()
        moto = _moto()
        self._moto: WSGIApplication = moto.DomainDispatcherApplication(moto.create_backend_app)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the access key id with which a request is signed."""
        return _credential(environ)[0]

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal in the form of the called service."""
        return refusals.wrong_key(environ, _credential(environ)[2], reason)

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal as of a user without the right; clients try again after other codes."""
        return refusals.unable(environ, _credential(environ)[2], reason)

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation of SageMaker that the caller may not use."""
        return denied(f"sagemaker:{operation}")

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables with which the clients of AWS reach the emulator."""
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": key,
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a call of SageMaker; moto responds to any other."""
        if _operation(environ) is not None:
            return super().__call__(environ, start_response)
        if environ.get("PATH_INFO", "").startswith("/moto-api"):
            return Response(404).send(start_response)
        try:
            return self._other_service(environ, start_response)
        except ServiceError as error:
            return error.response().send(start_response)

    def _other_service(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Respond to a call of another service than SageMaker, with the plan's fault for it."""
        _, region, service = _credential(environ)
        body = b""
        is_form = environ.get("CONTENT_TYPE", "").startswith(refusals.FORM)
        if is_form or environ.get("HTTP_X_AMZ_TARGET") or deletes_objects(environ):
            body = _body(environ)
            environ["wsgi.input"] = io.BytesIO(body)
        call = other_call(environ, service, region, body)
        for right in call.rights:
            self.calls.add("client", right.action, right.resource)
        fault = self._faults.next_call(call.operation, is_other=True)
        effect = fault.effect if fault else ""
        if refusal := refusals.faulty(environ, service, effect, call.rights[0].action):
            return refusal.send(start_response)
        form = body if is_form else b""
        if self._identity.has(call):

            def respond() -> Response:
                response = self._identity.respond(call, used_up=effect == "quota")
                if response.status >= 400 and _is_unknown(call, region):
                    return refusals.unknown_here(environ, service, form)
                return response

            fault = None if effect == "quota" else fault
            return self.respond_with(fault, call.operation, respond).send(start_response)
        return self._moto_response(environ, start_response, call, form)

    def _moto_response(
        self, environ: WSGIEnvironment, start_response: StartResponse, call: OtherCall, form: bytes
    ) -> Iterable[bytes]:
        """Let moto respond; where it fails or shows a web page, it does not have the operation."""
        region = _credential(environ)[1]
        try:
            status, headers, body = self._ask_moto(environ)
        except Exception:  # noqa: BLE001 - whatever moto's parts raise for what they do not have
            traceback.print_exc()
            status, headers, body = "500", [("Content-Type", "text/html")], ()
        kind = Headers(headers).get("Content-Type", "")
        code, service = int(status.split()[0]), call.service
        least = 500 if service == "s3" else 400  # a missing object has that type, too
        if code >= least and kind.startswith("text/html"):
            return refusals.not_served(environ, service, form).send(start_response)
        if code >= 400 and _is_unknown(call, region):
            return refusals.unknown_here(environ, service, form).send(start_response)
        start_response(status, headers)
        return body

    def _ask_moto(
        self, environ: WSGIEnvironment
    ) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
        """Return the status, the headers and the body of moto's response.

        moto fails if one call writes an object while another one does or reads it, so writes wait
        for one another, and reads are repeated.
        """
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _info: Any = None) -> Any:
            started.append((status, headers))
            return refuse_write

        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            with self._lock:
                writing = self._writing.setdefault(environ["PATH_INFO"], threading.Lock())
            with writing:
                body = self._moto(dict(environ), start)
                return *started[-1], body
        reads = 0
        while True:
            try:
                body = self._moto(dict(environ), start)
            except (KeyError, RuntimeError, ValueError):
                reads += 1
                if reads == _READS:
                    raise
            else:
                return *started[-1], body

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call of SageMaker.

        Raises:
            ServiceError: If the service would refuse it.
        """
        name, region = _operation(environ) or "", _credential(environ)[1]
        if not _REGION.fullmatch(region):  # it becomes a folder
            raise ServiceError(
                "InvalidSignatureException", "Credential should be scoped to a valid region.", 403
            )
        request = _body(environ)
        model = wire.service("sagemaker-metrics" if name == METRICS else "sagemaker")
        if name not in OPERATIONS:
            if name in model.operation_names or not environ.get("HTTP_X_AMZ_TARGET"):
                return refusals.not_served(environ, "sagemaker", b"")
            raise ServiceError("UnknownOperationException", f"SageMaker has no operation {name}.")
        operation = model.operation_model(name)

        def respond() -> Response:
            members = wire.parse(operation, request)
            for right in sagemaker_rights(name, members, region):
                self.calls.add("client", right.action, right.resource)
                if right.action == f"iam:{PASS_ROLE}" and self._faults.denies(PASS_ROLE):
                    raise denied(right.action, right.resource)
            answer = self._operations.carry_out(name, members, region)
            content_type = "application/json" if name == METRICS else JSON
            body = wire.serialize(operation, answer)
            return Response(200, body, content_type, [request_id()])

        return self.carry_out(name, respond)


def refuse_write(_data: bytes) -> object:
    """Refuse WSGI's older way to send a body, which moto does not use."""
    raise NotImplementedError


def request_handler() -> type[WSGIRequestHandler]:
    """Return the handler of HTTP requests that moto's services need."""
    handler: type[WSGIRequestHandler] = _moto().MotoRequestHandler
    return handler


def _moto() -> Any:
    """Return moto's server.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return import_module("moto.moto_server.werkzeug_app")
    except ImportError as error:
        raise MissingExtraError("the SageMaker emulator", "emulators") from error


def _is_unknown(call: OtherCall, region: str) -> bool:
    """Return whether a call reads a kind of which nothing was created here."""
    return call.operation in KNOWN_HERE and not KNOWN_HERE[call.operation](region)


def _operation(environ: WSGIEnvironment) -> str | None:
    """Return the name of a call's operation; None for other services."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target.startswith(TARGET):
        return target.removeprefix(TARGET)
    if _credential(environ)[2] == "sagemaker":
        return str(environ.get("PATH_INFO", "")).strip("/")
    return None


def _body(environ: WSGIEnvironment) -> bytes:
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        size = 0
    if size > MAX_BYTES:
        raise ServiceError("RequestEntityTooLargeException", "The request is too large.", 413)
    stream: Any = environ["wsgi.input"]
    body: bytes = stream.read(size)
    return body


def _credential(environ: WSGIEnvironment) -> tuple[str | None, str, str]:
    """Return access key id, region and service of a request's signature."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if not header:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if key := query.get("AWSAccessKeyId"):  # how botocore still signs URLs of S3
            return key[0], DEFAULT_REGION, "s3"
        header = f"Credential={query.get('X-Amz-Credential', [''])[0]}"
    match = _CREDENTIAL.search(header)
    return (match[1], match[2], match[3]) if match else (None, DEFAULT_REGION, "")
