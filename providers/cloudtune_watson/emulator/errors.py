"""The errors with which the services refuse.

IAM has a form of its own. The others have that of IBM's watsonx.ai API: ``{"errors": [{"code",
"message"}], "trace", "status_code"}``, with codes that IBM/watsonx-ai-java-sdk lists
(``invalid_request_entity``, ``json_type_error``, ``json_validation_error``,
``authorization_rejected``). No source shows errors of WML Accelerator, so they have the same form
here; other codes and all messages are chosen.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from functools import partial

from cloudtune.emulator_kit import app

INVALID = "invalid_request_entity"
WRONG_TYPE = "json_type_error"
WRONG_SHAPE = "json_validation_error"


class ServiceError(app.ServiceError):
    """An error in the services' own form."""

    def __init__(self, status: int, code: str, *messages: str) -> None:
        self.status = status
        self.errors = [{"code": code, "message": message} for message in messages]
        super().__init__(f"{status} {code}: {' '.join(messages)}")

    def response(self) -> app.Response:
        """Return the error as a response."""
        trace = secrets.token_hex(16)
        document = {"errors": self.errors, "trace": trace, "status_code": self.status}
        return app.Response(self.status, json.dumps(document).encode())


def unknown_key(reason: str) -> app.Response:
    """Return IAM's own refusal of a key (tests/recordings/ibm, 2018 and 2026), and our reason."""
    document = {
        "errorCode": "BXNIM0415E",
        "errorMessage": "Provided API key could not be found.",
        "errorDetails": reason,
        "context": {
            "requestId": secrets.token_hex(16),
            "requestType": "incoming.Identity_Token",
            "url": "https://iam.cloud.ibm.com",
            "locale": "en_US",
        },
    }
    return app.Response(400, json.dumps(document).encode())


def malformed(mistakes: Iterable[tuple[str, str]]) -> ServiceError:
    """Return the error for a request with these mistakes, each a code and a message."""
    error = ServiceError(400, INVALID)
    error.errors = [{"code": code, "message": message} for code, message in mistakes]
    return error


invalid = partial(ServiceError, 400, INVALID)
"""A request breaks rules."""
not_found = partial(ServiceError, 404, "not_found")
"""A resource does not exist."""
unknown_reference = partial(ServiceError, 404, INVALID)
"""A request refers to a resource that does not exist.

IBM's own tests, in Scala, expect ``404`` with ``invalid_request_entity`` for an experiment with an
unknown software specification.
"""
conflict = partial(ServiceError, 409, "already_exists")
"""A name is in use."""
unimplemented = partial(ServiceError, 501, "not_implemented")
"""This emulator does not have a feature of the service."""
unable = partial(ServiceError, 507, "insufficient_storage")
"""The machine of the emulator lacks what a request needs; no client tries again."""
unauthorized = partial(ServiceError, 401, "authentication_token_not_valid")
"""A request has no valid key."""
throttled = partial(
    ServiceError, 429, "rate_limit_reached_requests", "Too many requests; try again later."
)
"""Too many calls."""
exhausted = partial(ServiceError, 403, "quota_exceeded", "The quota of capacity units is used up.")
"""A quota is used up."""
timed_out = partial(
    ServiceError, 504, "gateway_timeout", "The upstream service did not answer in time."
)
"""The response is late; the request may be carried out."""


def unavailable(message: str = "The service is temporarily unavailable.") -> ServiceError:
    """Return the error for a temporary failure of the service."""
    return ServiceError(503, "service_unavailable", message)


def expired() -> ServiceError:
    """Return the error for a key or token that has expired."""
    return unauthorized("The token has expired.")


def denied(operation: str) -> ServiceError:
    """Return the refusal of what the user's role does not allow."""
    return ServiceError(403, "authorization_rejected", f"The user is not authorized: {operation}.")
