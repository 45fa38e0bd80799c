"""The errors with which the dashboard refuses: texts, often tracebacks."""

from __future__ import annotations

from functools import partial

from cloudtune.emulator_kit import app


class ServiceError(app.ServiceError):
    """An error in Ray's own form."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(f"{status} {text}")

    def response(self) -> app.Response:
        """Return the HTTP response."""
        return app.Response(self.status, self.text.encode(), "text/plain; charset=utf-8")


bad_request = partial(ServiceError, 400)
"""A request breaks rules."""
not_found = partial(ServiceError, 404)
"""A resource does not exist."""
failed = partial(ServiceError, 500)
"""The dashboard cannot carry out the request."""
unauthorized = partial(ServiceError, 401, "Unauthorized: Missing authentication token")
"""A request without a token (http_token_authentication.py)."""
forbidden = partial(ServiceError, 403, "Forbidden: Invalid authentication token")
"""A request with a wrong token (http_token_authentication.py)."""
throttled = partial(ServiceError, 429, "Max number of in-progress requests reached.")
"""Too many calls (state_api_utils.py, RateLimitedModule)."""
unavailable = partial(ServiceError, 503, "upstream connect error")
"""A proxy before the dashboard cannot reach it; chosen."""
timed_out = partial(ServiceError, 504, "upstream request timeout")
"""A proxy gave up waiting; the request may be carried out; chosen."""


def refused_by_agent(text: str) -> ServiceError:
    """Return a refusal of the job agent, which the dashboard wraps (job_head.py, _raise_error)."""
    inner = f"Traceback (most recent call last):\nValueError: {text}\n"
    return ServiceError(
        500,
        "Traceback (most recent call last):\n"
        f"RuntimeError: Request failed with status code 400: {inner}.\n",
    )


def no_agent() -> ServiceError:
    """Return the error while the head's agent is busy or starts (job_head.py, submit_job)."""
    return ServiceError(500, "No available agent to submit job, please try again later.")
