"""What the service answers when it refuses.

Codes: botocore 1.44.8, service model sagemaker 2017-07-24, where an error is modelled; else as
seen in the issues named beside them in the other files.
"""

from __future__ import annotations


class ServiceError(Exception):
    """An error that the client is told of in the service's own shape."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def invalid(message: str) -> ServiceError:
    """Return the error for a request that breaks a rule."""
    return ServiceError("ValidationException", message)


def in_use(message: str) -> ServiceError:
    """Return the error for a name that is taken."""
    return ServiceError("ResourceInUse", message)


def not_found(message: str) -> ServiceError:
    """Return the error for something that is not there."""
    return ServiceError("ResourceNotFound", message)


def limit_exceeded(message: str) -> ServiceError:
    """Return the error for a quota of the account."""
    return ServiceError("ResourceLimitExceeded", message)


def throttled() -> ServiceError:
    """Return the error for too many calls."""
    return ServiceError("ThrottlingException", "Rate exceeded")


def internal() -> ServiceError:
    """Return the error for a fault of the service."""
    return ServiceError("InternalFailure", "The request processing has failed.", 500)
