"""Refuses calls in the wire form of the service that is called, whichever of AWS's it is.

The form follows from the request: smithy's protocol header, JSON's X-Amz-Target, a form as body
for the query protocol, and otherwise REST. Forms: botocore 1.44.8, parsers.py, which reads the
code of an error as its service's clients do; the services with REST and XML are those of its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from cloudtune.emulator_kit import Response
from cloudtune_sagemaker.emulator.errors import JSON, USER, denial, request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORM = "application/x-www-form-urlencoded"
"""The content type of the query protocol."""
_XML = "text/xml"
_REST_XML = frozenset({"", "s3", "s3express", "s3-outposts", "cloudfront", "route53"})

_WRONG_KEY: Mapping[str, str] = {
    "json": "UnrecognizedClientException",
    "cbor": "UnrecognizedClientException",
    "rest-json": "UnrecognizedClientException",
    "query": "InvalidClientTokenId",
    "ec2": "AuthFailure",
    "rest-xml": "InvalidAccessKeyId",
}
"""The code for an access key that does not exist, by protocol."""
_DENIED: Mapping[str, str] = {
    "json": "AccessDeniedException",
    "cbor": "AccessDeniedException",
    "rest-json": "AccessDeniedException",
    "query": "AccessDenied",
    "ec2": "UnauthorizedOperation",
    "rest-xml": "AccessDenied",
}
"""The code for an operation that the caller may not use, by protocol."""
_EXPIRED: Mapping[str, str] = {
    "json": "ExpiredTokenException",
    "cbor": "ExpiredTokenException",
    "rest-json": "ExpiredTokenException",
    "query": "ExpiredToken",
    "ec2": "RequestExpired",
    "rest-xml": "ExpiredToken",
}
"""The code for credentials that have expired, by protocol."""


def wrong_key(environ: WSGIEnvironment, service: str, reason: str) -> Response:
    """Return the refusal of a request that is not signed with the emulator's key."""
    protocol = _protocol(environ, service)
    return _error(protocol, service, _WRONG_KEY[protocol], reason, 403)


def unable(environ: WSGIEnvironment, service: str, message: str) -> Response:
    """Return a refusal with a message, and with the code that AWS has where access is denied."""
    protocol = _protocol(environ, service)
    return _error(protocol, service, _DENIED[protocol], message, 400 if protocol == "json" else 403)


def faulty(environ: WSGIEnvironment, service: str, effect: str, action: str) -> Response | None:
    """Return the response to a call with an effect of the fault plan; None if that is no refusal.

    Args:
        environ: The request.
        service: The service in its signature.
        effect: The effect.
        action: What a policy would have to allow.
    """
    protocol = _protocol(environ, service)
    match effect:
        case "deny":
            return unable(environ, service, denial(action))
        case "expire":
            message = "The security token included in the request is expired"
            status = 400 if protocol in {"json", "rest-xml"} else 403
            return _error(protocol, service, _EXPIRED[protocol], message, status)
        case "throttle":
            return _error(protocol, service, "Throttling", "Rate exceeded", 400)
        case "error" | "late_error":
            message = "The request processing has failed."
            return _error(protocol, service, "InternalFailure", message, 500)
        case _:
            return None


def not_served(environ: WSGIEnvironment, service: str, body: bytes) -> Response:
    """Return the refusal of an operation that the emulator does not serve.

    Access is denied, as it is at AWS to a user without the right: clients that can do without the
    operation continue.

    Args:
        environ: The request.
        service: The service in its signature.
        body: Its body, if that is a form.
    """
    return _denied(environ, service, body, "this emulator does not serve it")


def unknown_here(environ: WSGIEnvironment, service: str, body: bytes) -> Response:
    """Return the refusal of a look at something of which nothing was created in the emulator.

    It may exist in the user's account, so the response is not that it does not. Version 3 of the
    sagemaker SDK (3.27.0, iam_role_resolver.py) then continues with the role.
    """
    return _denied(environ, service, body, "this emulator knows only what was created in it")


def _denied(environ: WSGIEnvironment, service: str, body: bytes, reason: str) -> Response:
    action = f"{service or 's3'}:{_operation(environ, body)}"
    message = f"User: {USER} is not authorized to perform: {action} because {reason}"
    return unable(environ, service, message)


def _protocol(environ: WSGIEnvironment, service: str) -> str:
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return "cbor"
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    if service in _REST_XML:
        return "rest-xml"
    if environ.get("CONTENT_TYPE", "").startswith(FORM):
        return "ec2" if service == "ec2" else "query"
    return "rest-json"


def _operation(environ: WSGIEnvironment, body: bytes) -> str:
    """Return the name of the operation, or method and path where the protocol has no name."""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rpartition(".")[2]
    path: str = environ.get("PATH_INFO", "")
    if environ.get("HTTP_SMITHY_PROTOCOL"):
        return path.rpartition("/")[2]
    action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    return action or f"{environ['REQUEST_METHOD']} {path}"


def _error(protocol: str, service: str, code: str, message: str, status: int) -> Response:
    headers = [request_id()]
    if protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": code, "message": message}).encode()
        content_type = JSON if protocol == "json" else "application/json"
        return Response(status, body, content_type, [("x-amzn-ErrorType", code), *headers])
    if protocol == "cbor":
        items = ("__type", code, "message", message)
        body = b"\xa2" + b"".join(map(_cbor_text, items))
        return Response(
            status, body, "application/cbor", [("smithy-protocol", "rpc-v2-cbor"), *headers]
        )
    name, number = headers[0]
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if protocol == "ec2":
        error = f"<Response><Errors>{error}</Errors><RequestID>{number}</RequestID></Response>"
    elif service not in {"", "s3", "s3express"}:
        error = f"<ErrorResponse>{error}<RequestId>{number}</RequestId></ErrorResponse>"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
    return Response(status, text.encode(), _XML, [(name, number)])


def _cbor_text(text: str) -> bytes:
    """Encode a text in CBOR (RFC 8949, major type 3) with its length in four bytes."""
    data = text.encode()
    return b"\x7a" + len(data).to_bytes(4, "big") + data
