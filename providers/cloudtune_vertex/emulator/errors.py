"""The errors with which the service refuses: HTTP status codes and names of google.rpc.Code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from cloudtune.emulator_kit import Json, app

JSON = "application/json; charset=UTF-8"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

CANCELLED = 1
INVALID = 3
INTERNAL = 13
UNAVAILABLE = 14
"""Numbers of google.rpc.Code, as in a job's ``error``."""


class ServiceError(app.ServiceError):
    """An error in the service's own form."""

    def __init__(
        self, code: int, status: str, message: str, violations: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.code = code
        self.status = status
        self.message = message
        self.violations = violations
        super().__init__(f"{status}: {message}")

    def response(self) -> app.Response:
        """Return the response that tells the client."""
        error: Json = {"code": self.code, "message": self.message, "status": self.status}
        if self.violations:
            violations = [
                {"field": field, "description": message} for field, message in self.violations
            ]
            error["details"] = [{"@type": BAD_REQUEST, "fieldViolations": violations}]
        return app.Response(self.code, json.dumps({"error": error}).encode(), JSON)


invalid = partial(ServiceError, 400, "INVALID_ARGUMENT")
"""A request breaks a rule."""
precondition = partial(ServiceError, 400, "FAILED_PRECONDITION")
"""The state of a job does not allow a request."""
not_found = partial(ServiceError, 404, "NOT_FOUND")
"""A resource does not exist."""
unimplemented = partial(ServiceError, 501, "UNIMPLEMENTED")
"""This emulator does not have a feature of the service."""
throttled = partial(
    ServiceError,
    429,
    "RESOURCE_EXHAUSTED",
    "Quota exceeded for quota metric 'Resource management (CRUD) requests' and limit 'Resource "
    "management (CRUD) requests per minute per region' of service 'aiplatform.googleapis.com'.",
)
"""Too many calls in a minute."""
exhausted = partial(
    ServiceError,
    429,
    "RESOURCE_EXHAUSTED",
    "The following quota metrics exceed quota limits: "
    "aiplatform.googleapis.com/custom_model_training_cpus",
)
"""A quota of machines is used up."""
unavailable = partial(ServiceError, 503, "UNAVAILABLE", "The service is currently unavailable.")
"""The service has failed for a moment."""
timed_out = partial(ServiceError, 504, "DEADLINE_EXCEEDED", "Deadline exceeded.")
"""The response is late; the request may be carried out."""
expired = partial(
    ServiceError,
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential.",
)
"""The caller's credentials have expired."""


def denied(permission: str) -> ServiceError:
    """Return the refusal of what the caller's roles do not permit."""
    message = f"Permission '{permission}' denied on resource (or it may not exist)."
    return ServiceError(403, "PERMISSION_DENIED", message)
