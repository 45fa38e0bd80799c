"""The errors with which Azure refuses, in the forms of recorded traffic."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from cloudtune.emulator_kit import Json, app
from cloudtune_azure.emulator.times import now


class ServiceError(app.ServiceError):
    """An error in the form of Azure Machine Learning."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        inner: Sequence[str] = (),
        format_: tuple[str, Json] | None = None,
    ) -> None:
        """Create an error.

        Args:
            status: The HTTP status.
            code: The outer code.
            message: The text.
            inner: The nested codes.
            format_: The text with names in braces, and their values.
        """
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.format = format_
        super().__init__(f"{status} {code} {message}")

    def response(self) -> app.Response:
        """Return the HTTP response."""
        infos: list[tuple[str, Any]] = [
            ("ComponentName", "managementfrontend"),
            ("Correlation", {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)}),
            ("Environment", "emulated"),
            ("Location", "emulated"),
            ("Time", now()),
        ]
        if self.inner:
            nested: Json | None = None
            for code in reversed(self.inner):
                nested = {"code": code, "innerError": nested}
            infos.append(("InnerError", nested))
        if self.format:
            text, values = self.format
            infos += [("MessageFormat", text), ("MessageParameters", values)]
        error = {
            "code": self.code,
            "message": self.message,
            "details": [],
            "additionalInfo": [{"type": kind, "info": {"value": value}} for kind, value in infos],
        }
        headers = [("x-ms-response-type", "error")]
        body = json.dumps({"error": error}).encode()
        return app.Response(self.status, body, "application/json; charset=utf-8", headers)


class BlobError(app.ServiceError):
    """An error of the blob service."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}")

    def response(self) -> app.Response:
        """Return the HTTP response."""
        text = (
            f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code>'
            f"<Message>{self.message}\nTime:{now()}</Message></Error>"
        )
        headers = [("x-ms-error-code", self.code), ("x-ms-version", "2022-11-02")]
        return app.Response(self.status, text.encode(), "application/xml", headers)


class MlflowError(app.ServiceError):
    """An error of MLflow."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.content = {"error_code": code, "message": message}
        super().__init__(f"{status} {code}")

    def response(self) -> app.Response:
        """Return the HTTP response."""
        return app.Response(self.status, json.dumps(self.content).encode())


def job_not_found(name: str) -> ServiceError:
    """Return the error for a job that does not exist (command_job_local)."""
    text, values = "Job {jobId} not found.", {"jobId": name}
    inner = ("NotFound", "JobNotFound")
    return ServiceError(404, "UserError", f"Job {name} not found.", inner, (text, values))


def asset_not_found(path: str, name: str, version: str) -> ServiceError:
    """Return the error for a missing version of an asset (errors_missing_version)."""
    kind = path.rsplit("/", 4)[-4].removesuffix("s")
    message = f"key: {path}, Message: Not found {kind} {name} (version: {version})."
    return ServiceError(404, "NotFound", message)


def bad_argument(message: str, *codes: str) -> ServiceError:
    """Return the error for an invalid request (errors_bad_expression)."""
    return ServiceError(400, "UserError", message, ("BadArgument", "ArgumentInvalid", *codes))


no_blob = partial(BlobError, 404, "BlobNotFound", "The specified blob does not exist.")
"""Recorded."""
no_range = partial(
    BlobError,
    416,
    "InvalidRange",
    "The range specified is invalid for the current size of the resource.",
)
"""Recorded."""
throttled = partial(
    ServiceError,
    429,
    "UserError",
    "Received too many requests in a short amount of time. Retry again after 20 seconds.",
    ("QuotaExceeded", "TooManyRequests"),
)
"""Recorded (sweep_submit_2022-10_throttled); there is no header Retry-After."""
failed = partial(ServiceError, 500, "ServiceError", "InternalServerError")
"""Chosen."""
timed_out = partial(ServiceError, 504, "GatewayTimeout", "The gateway did not receive a response.")
"""The request may be carried out; chosen."""
unauthorized = partial(
    ServiceError, 401, "InvalidAuthenticationToken", "The access token is invalid."
)
"""Chosen, after the manager's documentation."""
expired = partial(ServiceError, 401, "ExpiredAuthenticationToken", "The access token has expired.")
"""Chosen, after the manager's documentation."""


def forbidden(action: str) -> ServiceError:
    """Return the refusal of an action; the text is chosen, after the manager's documentation."""
    message = f"The client does not have authorization to perform action '{action}'."
    return ServiceError(403, "AuthorizationFailed", message)
