"""The errors with which the service refuses: HTTP status codes and names of google.rpc.Code."""

from __future__ import annotations

import json

from cloudtune.emulator_kit import app

JSON = "application/json; charset=UTF-8"

CANCELLED = 1
INVALID = 3
INTERNAL = 13
UNAVAILABLE = 14
"""Numbers of google.rpc.Code, as in a job's ``error``."""


class ServiceError(app.ServiceError):
    """An error in the service's own form."""

    def __init__(self, code: int, status: str, message: str) -> None:
        self.code = code
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")

    def response(self) -> app.Response:
        """Return the response that tells the client."""
        error = {"code": self.code, "message": self.message, "status": self.status}
        return app.Response(self.code, json.dumps({"error": error}).encode(), JSON)


def invalid(message: str) -> ServiceError:
    """Return the error for a request that breaks a rule."""
    return ServiceError(400, "INVALID_ARGUMENT", message)


def precondition(message: str) -> ServiceError:
    """Return the error for a request that the state of a job does not allow."""
    return ServiceError(400, "FAILED_PRECONDITION", message)


def not_found(message: str) -> ServiceError:
    """Return the error for a missing resource."""
    return ServiceError(404, "NOT_FOUND", message)


def unimplemented(message: str) -> ServiceError:
    """Return the error for a feature of the service that this emulator does not have."""
    return ServiceError(501, "UNIMPLEMENTED", message)


def throttled() -> ServiceError:
    """Return the error for too many calls in a minute."""
    return ServiceError(
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Resource management (CRUD) requests' and limit 'Resource "
        "management (CRUD) requests per minute per region' of service 'aiplatform.googleapis.com'.",
    )


def exhausted() -> ServiceError:
    """Return the error for a used-up quota of machines."""
    return ServiceError(
        429,
        "RESOURCE_EXHAUSTED",
        "The following quota metrics exceed quota limits: "
        "aiplatform.googleapis.com/custom_model_training_cpus",
    )


def unavailable() -> ServiceError:
    """Return the error for a temporary failure of the service."""
    return ServiceError(503, "UNAVAILABLE", "The service is currently unavailable.")


def timed_out() -> ServiceError:
    """Return the error for a late response; the request may be carried out."""
    return ServiceError(504, "DEADLINE_EXCEEDED", "Deadline exceeded.")
