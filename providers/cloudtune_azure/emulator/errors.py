"""The errors with which Azure refuses, in the forms of recorded traffic."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from cloudtune.emulator_kit import Json, Response, app, json_response
from cloudtune_azure.emulator.times import now


class ServiceError(app.ServiceError):
    """An error in the form of Azure Machine Learning, the blob service or MLflow."""

    def __init__(self, text: str, response: Response) -> None:
        self._response = response
        super().__init__(text)

    def response(self) -> Response:
        """Return the HTTP response."""
        return self._response


def service_error(
    status: int,
    code: str,
    message: str,
    inner: Sequence[str] = (),
    format_: tuple[str, Json] | None = None,
) -> ServiceError:
    """Return an error in the form of Azure Machine Learning.

    Args:
        status: The HTTP status.
        code: The outer code.
        message: The text.
        inner: The nested codes.
        format_: The text with names in braces, and their values.
    """
    infos: list[tuple[str, Any]] = [
        ("ComponentName", "managementfrontend"),
        ("Correlation", {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)}),
        ("Environment", "emulated"),
        ("Location", "emulated"),
        ("Time", now()),
    ]
    if inner:
        nested: Json | None = None
        for each in reversed(inner):
            nested = {"code": each, "innerError": nested}
        infos.append(("InnerError", nested))
    if format_:
        text, values = format_
        infos += [("MessageFormat", text), ("MessageParameters", values)]
    error = {
        "code": code,
        "message": message,
        "details": [],
        "additionalInfo": [{"type": kind, "info": {"value": value}} for kind, value in infos],
    }
    headers = [("x-ms-response-type", "error")]
    response = json_response({"error": error}, status, "application/json; charset=utf-8", headers)
    return ServiceError(f"{status} {code} {message}", response)


def blob_error(status: int, code: str, message: str) -> ServiceError:
    """Return an error of the blob service."""
    text = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
        f"<Message>{message}\nTime:{now()}</Message></Error>"
    )
    headers = [("x-ms-error-code", code), ("x-ms-version", "2022-11-02")]
    response = Response(status, text.encode(), "application/xml", headers)
    return ServiceError(f"{status} {code}", response)


def mlflow_error(status: int, code: str, message: str) -> ServiceError:
    """Return an error of MLflow."""
    content = {"error_code": code, "message": message}
    return ServiceError(f"{status} {code}", json_response(content, status))


def job_not_found(name: str) -> ServiceError:
    """Return the error for a job that does not exist (command_job_local)."""
    text, values = "Job {jobId} not found.", {"jobId": name}
    inner = ("NotFound", "JobNotFound")
    return service_error(404, "UserError", f"Job {name} not found.", inner, (text, values))


def asset_not_found(path: str, name: str, version: str) -> ServiceError:
    """Return the error for a missing version of an asset (errors_missing_version)."""
    kind = path.rsplit("/", 4)[-4].removesuffix("s")
    message = f"key: {path}, Message: Not found {kind} {name} (version: {version})."
    return service_error(404, "NotFound", message)


def bad_argument(message: str, *codes: str) -> ServiceError:
    """Return the error for an invalid request (errors_bad_expression)."""
    return service_error(400, "UserError", message, ("BadArgument", "ArgumentInvalid", *codes))


no_blob = partial(blob_error, 404, "BlobNotFound", "The specified blob does not exist.")
"""Recorded."""
no_range = partial(
    blob_error,
    416,
    "InvalidRange",
    "The range specified is invalid for the current size of the resource.",
)
"""Recorded."""
throttled = partial(
    service_error,
    429,
    "UserError",
    "Received too many requests in a short amount of time. Retry again after 20 seconds.",
    ("QuotaExceeded", "TooManyRequests"),
)
"""Recorded (sweep_submit_2022-10_throttled); there is no header Retry-After."""
failed = partial(service_error, 500, "ServiceError", "InternalServerError")
"""Chosen."""
timed_out = partial(service_error, 504, "GatewayTimeout", "The gateway did not receive a response.")
"""The request may be carried out; chosen."""
unauthorized = partial(
    service_error, 401, "InvalidAuthenticationToken", "The access token is invalid."
)
"""Chosen, after the manager's documentation."""
expired = partial(service_error, 401, "ExpiredAuthenticationToken", "The access token has expired.")
"""Chosen, after the manager's documentation."""


def forbidden(action: str) -> ServiceError:
    """Return the refusal of an action; the text is chosen, after the manager's documentation."""
    message = f"The client does not have authorization to perform action '{action}'."
    return service_error(403, "AuthorizationFailed", message)
