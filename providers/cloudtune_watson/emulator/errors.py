"""The errors with which the services refuse.

The form is that of IBM's watsonx.ai API: ``{"errors": [{"code", "message"}], "trace",
"status_code"}``, with codes that IBM/watsonx-ai-java-sdk lists (``invalid_request_entity``,
``json_type_error``, ``json_validation_error``, ``authorization_rejected``). No source shows errors
of WML Accelerator, so they have the same form here; other codes and all messages are chosen.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

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
        """Return the response that tells the client."""
        trace = secrets.token_hex(16)
        document = {"errors": self.errors, "trace": trace, "status_code": self.status}
        return app.Response(self.status, json.dumps(document).encode())


def malformed(mistakes: Iterable[tuple[str, str]]) -> ServiceError:
    """Return the error for a request with these mistakes, each a code and a message."""
    error = ServiceError(400, INVALID)
    error.errors = [{"code": code, "message": message} for code, message in mistakes]
    return error


def invalid(*messages: str) -> ServiceError:
    """Return the error for a request that breaks rules."""
    return ServiceError(400, INVALID, *messages)


def not_found(message: str) -> ServiceError:
    """Return the error for a missing resource."""
    return ServiceError(404, "not_found", message)


def unknown_reference(message: str) -> ServiceError:
    """Return the error for a request that refers to a missing resource.

    IBM's own tests, in Scala, expect ``404`` with ``invalid_request_entity`` for an experiment
    with an unknown software specification.
    """
    return ServiceError(404, INVALID, message)


def conflict(message: str) -> ServiceError:
    """Return the error for a name that is in use."""
    return ServiceError(409, "already_exists", message)


def unimplemented(message: str) -> ServiceError:
    """Return the error for a feature of the service that this emulator does not have."""
    return ServiceError(501, "not_implemented", message)


def unauthorized(message: str) -> ServiceError:
    """Return the error for a request without the key."""
    return ServiceError(401, "authentication_token_not_valid", message)


def throttled() -> ServiceError:
    """Return the error for too many calls."""
    return ServiceError(429, "rate_limit_reached_requests", "Too many requests; try again later.")


def exhausted() -> ServiceError:
    """Return the error for a used-up quota."""
    return ServiceError(403, "quota_exceeded", "The quota of capacity units is used up.")


def unavailable(message: str = "The service is temporarily unavailable.") -> ServiceError:
    """Return the error for a temporary failure of the service."""
    return ServiceError(503, "service_unavailable", message)


def timed_out() -> ServiceError:
    """Return the error for a late response; the request may be carried out."""
    return ServiceError(504, "gateway_timeout", "The upstream service did not answer in time.")
