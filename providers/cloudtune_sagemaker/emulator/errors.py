"""The errors with which the service refuses.

Codes: botocore 1.44.8, service model sagemaker 2017-07-24, where it has the error; otherwise as
seen in the issues that the other files cite.
"""

from __future__ import annotations

import json
import uuid
from functools import partial

from cloudtune.emulator_kit import app

JSON = "application/x-amz-json-1.1"
USER = "arn:aws:iam::123456789012:user/emulator"
"""The caller, who owns the emulator's key."""


class ServiceError(app.ServiceError):
    """An error in the service's own form."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")

    def response(self) -> app.Response:
        """Return the response that tells the client."""
        body = json.dumps({"__type": self.code, "message": self.message}).encode()
        return app.Response(
            self.status, body, JSON, [("x-amzn-ErrorType", self.code), request_id()]
        )


def request_id() -> tuple[str, str]:
    """Return the header that names a request."""
    return "x-amzn-RequestId", str(uuid.uuid4())


invalid = partial(ServiceError, "ValidationException")
"""A request breaks a rule."""
in_use = partial(ServiceError, "ResourceInUse")
"""A name is in use."""
not_found = partial(ServiceError, "ResourceNotFound")
"""A resource does not exist."""
limit_exceeded = partial(ServiceError, "ResourceLimitExceeded")
"""A quota of the account is exceeded."""
throttled = partial(ServiceError, "ThrottlingException", "Rate exceeded")
"""Too many calls."""
internal = partial(ServiceError, "InternalFailure", "The request processing has failed.", 500)
"""The service has failed."""
expired = partial(
    ServiceError, "ExpiredTokenException", "The security token included in the request is expired"
)
"""The caller's credentials have expired."""


def denied(action: str, resource: str = "*") -> ServiceError:
    """Return the refusal of an action that the caller's policies do not allow."""
    return ServiceError("AccessDeniedException", denial(action, resource))


def denial(action: str, resource: str = "*") -> str:
    """Return the message of such a refusal (IAM user guide, troubleshoot_access-denied)."""
    return (
        f"User: {USER} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action"
    )
