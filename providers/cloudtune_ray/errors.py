"""Errors of calls to a Ray cluster: whether they are transient, and what to do about them.

The dashboard answers errors as text: often a traceback, whose last line counts. The job agent's
refusal of a request, a 400, reaches the client as a 500 around it (Ray 2.60.0, job_head.py).
"""

from __future__ import annotations

import re

from cloudtune.provider import HttpError

PROVIDER = "ray"
_TRANSIENT = frozenset([408, 425, 429, 500, 502, 503, 504])
_MAX_MESSAGE = 1_000
_INNER = re.compile(r"Request failed with status code (\d{3})")
_EXISTS = "already exists"


class RayError(HttpError):
    """A cluster refused a call, or its job agent did, or it could not be reached."""

    service = PROVIDER

    @property
    def exists(self) -> bool:
        """Whether a job of this name exists already."""
        return self.code == 400 and _EXISTS in self.text


def service_error(operation: str, code: int, body: str) -> RayError:
    """Return the error for an error response.

    Args:
        operation: The method and the path that were called.
        code: The HTTP status.
        body: The body of the response.
    """
    inner = _INNER.search(body)
    if inner and code == 500:
        code = int(inner[1])
    text = f"{operation}: {last_line(body) or 'refused'} [{code}]"
    if code == 401:
        text += " (set the variable in providers.ray.token_variable to the token of the cluster)"
    elif code == 403:
        text += " (the token in the variable of providers.ray.token_variable is not the cluster's)"
    elif code == 404 and operation.startswith("GET /api/version"):
        text += " (check that providers.ray.address is the address of a Ray dashboard)"
    return RayError(
        text,
        code=code,
        text=body,
        retryable=code in _TRANSIENT,
        affects_all_calls=code in {401, 403},
    )


def connection_error(operation: str, address: str, error: BaseException) -> RayError:
    """Return the error for a call without a response."""
    import ssl

    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        message = (
            f"{operation}: the cluster's certificate is not trusted: set providers.ray.certificate "
            f"to a file with the certificate that signed it [{reason.verify_message}]"
        )
        return RayError(message, affects_all_calls=True)
    message = (
        f"{operation}: cannot reach the cluster at {address}: check that it runs, the address, and "
        f"the port-forward if there is one [{str(reason)[:_MAX_MESSAGE]}]"
    )
    return RayError(message, retryable=True)


def last_line(body: str) -> str:
    """Return the last line of a traceback, which has the message; a page's text without markup."""
    text = re.sub(r"<[^>]*>", " ", body) if body.lstrip().startswith("<") else body
    lines = [line.strip() for line in text.splitlines() if line.strip(" .")]
    return (lines[-1] if lines else "")[:_MAX_MESSAGE]
