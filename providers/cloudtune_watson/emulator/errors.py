"""What the services answer when they refuse.

The shape is that of IBM's watsonx.ai API: ``{"errors": [{"code", "message"}], "trace",
"status_code"}``, with codes that IBM/watsonx-ai-java-sdk lists (``invalid_request_entity``,
``json_type_error``, ``json_validation_error``, ``authorization_rejected``). No source shows errors
of WML Accelerator, so it is given the same shape here; other codes and all words are chosen.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

INVALID = "invalid_request_entity"
WRONG_TYPE = "json_type_error"
WRONG_SHAPE = "json_validation_error"


class ServiceError(Exception):
    """An error that the client is told of in the service's own shape."""

    def __init__(self, status: int, code: str, *messages: str) -> None:
        self.status = status
        self.wrong: Sequence[tuple[str, str]] = [(code, message) for message in messages]
        super().__init__(f"{status} {code}: {' '.join(messages)}")

    def body(self) -> bytes:
        """Return the answer's body."""
        errors = [{"code": code, "message": message} for code, message in self.wrong]
        said = {"errors": errors, "trace": secrets.token_hex(16), "status_code": self.status}
        return json.dumps(said).encode()


def malformed(wrong: Sequence[tuple[str, str]]) -> ServiceError:
    """Return the error for a request with these mistakes, each a code and a message."""
    error = ServiceError(400, INVALID)
    error.wrong = wrong
    return error


def invalid(*messages: str) -> ServiceError:
    """Return the error for a request that breaks rules."""
    return ServiceError(400, INVALID, *messages)


def not_found(message: str) -> ServiceError:
    """Return the error for something that is not there."""
    return ServiceError(404, "not_found", message)


def unknown_reference(message: str) -> ServiceError:
    """Return the error for a request that names something which is not there.

    Tests of IBM's own, in Scala, expect ``404`` with ``invalid_request_entity`` for an experiment
    with an unknown software specification.
    """
    return ServiceError(404, INVALID, message)


def conflict(message: str) -> ServiceError:
    """Return the error for a name that is taken."""
    return ServiceError(409, "already_exists", message)


def not_here(message: str) -> ServiceError:
    """Return the error for what the service has and this emulator has not."""
    return ServiceError(501, "not_implemented", message)


def unauthorized(message: str) -> ServiceError:
    """Return the error for a request without the key."""
    return ServiceError(401, "authentication_token_not_valid", message)


def throttled() -> ServiceError:
    """Return the error for too many calls."""
    return ServiceError(429, "rate_limit_reached_requests", "Too many requests; try again later.")


def exhausted() -> ServiceError:
    """Return the error for resources of which there are no more."""
    return ServiceError(403, "quota_exceeded", "The quota of capacity units is used up.")


def unavailable(why: str = "The service is temporarily unavailable.") -> ServiceError:
    """Return the error for a service that is not there for a moment."""
    return ServiceError(503, "service_unavailable", why)


def too_late() -> ServiceError:
    """Return the error for an answer that came too late; what was asked may be done."""
    return ServiceError(504, "gateway_timeout", "The upstream service did not answer in time.")
