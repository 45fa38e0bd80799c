"""The emulator's door and protocol: SageMaker's calls are answered here, all others by moto."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.server import carried_out
from cloudtune.errors import MissingExtraError
from cloudtune_sagemaker.emulator import wire
from cloudtune_sagemaker.emulator.errors import ServiceError, internal, limit_exceeded, throttled
from cloudtune_sagemaker.emulator.operations import OPERATIONS, Operations

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import WSGIRequestHandler

JSON = "application/x-amz-json-1.1"
TARGET = "SageMaker."
"""How X-Amz-Target begins for calls of the SageMaker client."""
METRICS = "BatchGetMetrics"
"""The one operation of the sagemaker-metrics client; its calls are told by their path."""
MOST_BYTES = 8 * 1024 * 1024
"""Of the body of a call."""
DEFAULT_REGION = "us-east-1"

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[0-9]{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")

_ERRORS: Mapping[str, Callable[[], ServiceError]] = {
    "throttle": throttled,
    "quota": lambda: limit_exceeded("The account-level service limit of this resource is reached."),
    "error": internal,
    "late_error": internal,
}


class SageMaker:
    """SageMaker as the emulator has it; an `Emulation`."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan) -> None:
        self._operations = Operations(folder, delays, faults)
        self._faults = faults
        moto = _moto()
        self._others: WSGIApplication = moto.DomainDispatcherApplication(moto.create_backend_app)

    @property
    def app(self) -> WSGIApplication:
        """Answers the requests that were let in."""
        return self._answer

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the access key id with which a request is signed."""
        found = _credential(environ)
        return found[0] if found else None

    def refuse(self, environ: WSGIEnvironment, why: str) -> tuple[str, str, bytes]:
        """Return a refusal as the service that is called would put it."""
        found = _credential(environ)
        service = found[2] if found else ""
        if service in {"sagemaker", "logs"} or environ.get("HTTP_X_AMZ_TARGET"):
            said = {"__type": "UnrecognizedClientException", "message": why}
            return "403 Forbidden", JSON, json.dumps(said).encode()
        code = "InvalidClientTokenId" if service in {"sts", "iam"} else "InvalidAccessKeyId"
        error = f"<Error><Code>{code}</Code><Message>{why}</Message></Error>"
        if service in {"sts", "iam"}:
            error = f"<ErrorResponse>{error}</ErrorResponse>"
        return "403 Forbidden", "application/xml", error.encode()

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables under which the clients of AWS reach the emulator."""
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": key,
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def busy(self) -> bool:
        """Tell whether a job runs."""
        return self._operations.busy()

    def close(self) -> None:
        """End everything that runs."""
        self._operations.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = _credential(environ)
        region = found[1] if found else DEFAULT_REGION
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        path = environ.get("PATH_INFO", "")
        if target.startswith(TARGET):
            return self._call(target.removeprefix(TARGET), region, environ, start_response)
        if found and found[2] == "sagemaker":
            return self._call(path.strip("/"), region, environ, start_response)
        if path.startswith("/moto-api"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        return self._others(environ, start_response)

    def _call(
        self, name: str, region: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        kind = "application/json" if name == METRICS else JSON
        headers = [("Content-Type", kind), ("x-amzn-RequestId", str(uuid.uuid4()))]
        status = "200 OK"
        try:
            body = self._carried_out(name, region, _body(environ))
        except ServiceError as error:
            status = f"{error.status} {'Bad Request' if error.status < 500 else 'Error'}"
            headers.append(("x-amzn-ErrorType", error.code))
            body = json.dumps({"__type": error.code, "message": error.message}).encode()
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _carried_out(self, name: str, region: str, body: bytes) -> bytes:
        if name not in OPERATIONS:
            raise ServiceError(
                "UnknownOperationException",
                f"This emulator does not have the operation {name}. It has "
                f"{', '.join(sorted(OPERATIONS))}.",
            )
        model = wire.service("sagemaker-metrics" if name == METRICS else "sagemaker")
        operation = model.operation_model(name)

        def answer() -> bytes:
            told = self._operations.carry_out(name, wire.parsed(operation, body), region)
            return wire.written(operation, told)

        return carried_out(self._faults.of_call(name), answer, _ERRORS)


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


def _body(environ: WSGIEnvironment) -> bytes:
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        size = 0
    if size > MOST_BYTES:
        raise ServiceError("RequestEntityTooLargeException", "The request is too large.", 413)
    stream: Any = environ["wsgi.input"]
    body: bytes = stream.read(size)
    return body


def _credential(environ: WSGIEnvironment) -> tuple[str, str, str] | None:
    """Return access key id, region and service for which a request is signed."""
    said = environ.get("HTTP_AUTHORIZATION", "")
    if not said:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if old := query.get("AWSAccessKeyId"):  # how botocore still signs addresses of S3
            return old[0], DEFAULT_REGION, "s3"
        said = f"Credential={query.get('X-Amz-Credential', [''])[0]}"
    found = _CREDENTIAL.search(said)
    return (found[1], found[2], found[3]) if found else None
