"""Errors of calls to IBM: whether they are transient, and what to do about them.

A cluster answers ``{"errors": [{"code": ..., "message": ...}], "trace": ...}``, WML Accelerator
sometimes only text, and IAM ``{"errorCode": ..., "errorMessage": ..., "context": ...}`` with 400
for a wrong key. The texts differ between versions, so only the HTTP status counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cloudtune.provider import HttpError

if TYPE_CHECKING:
    from cloudtune.provider import Json

PROVIDER = "watson"
IAM_PATH = "/identity/token"
"""Where IBM Cloud's IAM changes an API key into a token."""

_TRANSIENT = frozenset([408, 425, 429, 500, 502, 503, 504, 520, 521, 524])
_MAX_MESSAGE = 1_000

_REQUESTS_ERRORS: Mapping[str, tuple[bool, str]] = {
    "SSLError": (
        False,
        "the cluster's certificate is not trusted: set providers.watson.certificate to a file with "
        "the certificate that signed it, which OpenShift keeps in the config map "
        "default-ingress-cert of openshift-config-managed",
    ),
    "ProxyError": (True, "cannot reach the proxy"),
    "Timeout": (True, "no response in time"),
    "ChunkedEncodingError": (True, "the connection ended within the response"),
    "ConnectionError": (True, "cannot reach the cluster: check providers.watson.url and network"),
    "InvalidURL": (False, "providers.watson.url is not a URL"),
    "OSError": (False, "cannot use the certificate file in providers.watson.certificate"),
    "RequestException": (True, "the connection failed"),
}
"""The errors of ``requests`` by name: whether they are transient, and what they mean."""


_QUOTA = re.compile(r"quota|capacity[ _-]units?", re.IGNORECASE)
_QUOTA_ADVICE = (
    "a quota is used up: wait until it is renewed, end other jobs, or ask the owner of the "
    "instance for more"
)
"""IBM's error codes of quotas are not documented; the word is what the messages have in common."""


class WatsonError(HttpError):
    """A cluster refused a call or could not be reached."""

    service = PROVIDER

    @property
    def signed_out(self) -> bool:
        """Whether the sign-in is invalid or has expired."""
        return self.code == 401


def service_error(operation: str, code: int, body: str) -> WatsonError:
    """Return the error for an error response.

    Args:
        operation: The method and the path that were called.
        code: The HTTP status.
        body: The body of the response.
    """
    text = f"{operation}: {read_message(body) or 'refused'} [{code}]"
    is_key_refused = code == 401 or (code == 400 and operation.endswith(IAM_PATH))
    if (
        advice := _QUOTA_ADVICE
        if _QUOTA.search(body)
        else _advice(operation, code, is_key_refused=is_key_refused)
    ):
        text += f" ({advice})"
    return WatsonError(
        text,
        code=code,
        retryable=code in _TRANSIENT,
        affects_all_calls=is_key_refused or code == 403,
    )


def connection_error(operation: str, error: BaseException) -> WatsonError:
    """Return the error for a call without a response."""
    classes = [each.__name__ for each in type(error).__mro__]
    name = next((each for each in classes if each in _REQUESTS_ERRORS), "")
    retryable, meaning = _REQUESTS_ERRORS.get(name, (False, ""))
    text = f"{operation}: {meaning} [{str(error)[:_MAX_MESSAGE]}]"
    return WatsonError(text, retryable=retryable, affects_all_calls=not retryable)


def read_message(body: str) -> str:
    """Return the messages in a response; if it is not JSON, its text without markup."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        return re.sub(r"<[^>]*>|\s+", " ", body).strip()[:_MAX_MESSAGE]
    if not isinstance(content, dict):
        return str(content)[:_MAX_MESSAGE]
    response = cast("Json", content)
    errors: list[Any] = (
        response["errors"] if isinstance(response.get("errors"), list) else [response]
    )
    messages = [_message(cast("Json", each)) for each in errors if isinstance(each, dict)]
    return "; ".join(filter(None, messages))[:_MAX_MESSAGE] or body[:_MAX_MESSAGE]


def _message(error: Json) -> str:
    texts = [error.get(name) for name in ("message", "error", "exception", "errorMessage")]
    parts = [next(filter(None, texts), ""), error.get("errorDetails"), error.get("errorCode")]
    return " ".join(str(part) for part in parts if part)


def _advice(operation: str, code: int, *, is_key_refused: bool) -> str:
    if is_key_refused:
        return (
            "check that the key in the variable providers.watson.key_variable is valid and belongs "
            "to providers.watson.username"
        )
    if code == 403:
        return "your user lacks the permission; in a space or project it needs the role Editor"
    if code == 404 and "/v2/spaces/" in operation:
        return "your user has no such space: check providers.watson.space_id"
    if code == 404 and "/v2/projects/" in operation:
        return "your user has no such project: check providers.watson.project_id"
    if code == 404 and "deeplearning" in operation:
        return "check that providers.watson.url is the address of a WML Accelerator"
    return ""
