"""What the service answers when it refuses: a code of HTTP and its name in google.rpc.Code."""

from __future__ import annotations

CANCELLED = 1
INVALID = 3
INTERNAL = 13
UNAVAILABLE = 14
"""Numbers of google.rpc.Code, as a job's ``error`` has them."""


class ServiceError(Exception):
    """An error that the client is told of in the service's own shape."""

    def __init__(self, code: int, status: str, message: str) -> None:
        self.code = code
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")


def invalid(message: str) -> ServiceError:
    """Return the error for a request that breaks a rule."""
    return ServiceError(400, "INVALID_ARGUMENT", message)


def precondition(message: str) -> ServiceError:
    """Return the error for something that the state of a job does not allow."""
    return ServiceError(400, "FAILED_PRECONDITION", message)


def not_found(message: str) -> ServiceError:
    """Return the error for something that is not there."""
    return ServiceError(404, "NOT_FOUND", message)


def not_here(message: str) -> ServiceError:
    """Return the error for what the service has and this emulator has not."""
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
    """Return the error for machines of which the project may have no more."""
    return ServiceError(
        429,
        "RESOURCE_EXHAUSTED",
        "The following quota metrics exceed quota limits: "
        "aiplatform.googleapis.com/custom_model_training_cpus",
    )


def unavailable() -> ServiceError:
    """Return the error for a service that is not there for a moment."""
    return ServiceError(503, "UNAVAILABLE", "The service is currently unavailable.")


def too_late() -> ServiceError:
    """Return the error for an answer that came too late; what was asked may be done."""
    return ServiceError(504, "DEADLINE_EXCEEDED", "Deadline exceeded.")
