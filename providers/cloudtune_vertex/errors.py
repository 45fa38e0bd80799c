"""Errors of Google: whether a call may succeed later, and what the user can do.

Codes are the HTTP codes of google.rpc.Code, which google-api-core 2.44 has in every error. Messages
come from public reports of users; where a message is unknown, only the code counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.provider import HttpError, ProviderError

PROVIDER = "vertex"

_TRANSIENT_CODES = frozenset([408, 500, 502, 503, 504])
_QUOTA_MESSAGE = re.compile(r"quota metrics exceed quota limits", re.I)
"""In a 429: no capacity for another job. Any other 429 means too many calls."""
_PREFIX = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: ")
"""The clients put this before the service's message."""
_HOST = re.compile(r"host='([^']+)'")
"""In the messages of urllib3."""
_PERMISSION = re.compile(
    r"\b(?:aiplatform|storage|iam|logging|serviceusage)\.[a-zA-Z]+\.[a-zA-Z]+\b"
)

_SIGN_IN = (
    "sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS "
    "to a key file"
)
_NO_CONNECTION = "no connection; check the network"

_CLIENT_ERRORS: Mapping[str, tuple[bool, str]] = {
    "SSLError": (
        False,
        "the certificate is not trusted on this machine; set REQUESTS_CA_BUNDLE to your company's "
        "certificate file",
    ),
    "ProxyError": (True, "no connection to the proxy"),
    "ConnectTimeout": (True, _NO_CONNECTION),
    "Timeout": (True, "no response in time"),
    "ChunkedEncodingError": (True, "the connection ended within the response"),
    "ConnectionError": (True, _NO_CONNECTION),
    "RequestException": (True, "the connection failed"),
    "DataCorruption": (True, "the received data does not match its checksum"),
    "TransportError": (True, "no connection to the sign-in service; check the network"),
    "TimeoutError": (True, "no response of the sign-in service in time"),
    "DefaultCredentialsError": (False, f"no credentials found; {_SIGN_IN}"),
    "ReauthFailError": (False, f"the sign-in has expired; {_SIGN_IN}, then `cloudtune resume`"),
    "RefreshError": (False, f"the sign-in is no longer valid; {_SIGN_IN}"),
    "GoogleAuthError": (False, f"the credentials cannot be used; {_SIGN_IN}"),
}
"""Errors of the clients by class name: whether the call may succeed later, and the message."""


class GoogleError(HttpError):
    """Google refused a call or could not be reached."""

    service = PROVIDER


def service_error(operation: str, code: int, message: str) -> GoogleError:
    """Return the error for an error response with an HTTP status and the service's message."""
    message = _PREFIX.sub("", message).strip()
    quota_exceeded = code == 429 and bool(_QUOTA_MESSAGE.search(message))
    text = f"{operation}: {message or 'refused'} [{code}]"
    if advice := _advice(code, message, quota_exceeded=quota_exceeded):
        text += f" ({advice})"
    return GoogleError(
        text,
        code=code,
        text=message,
        retryable=code in _TRANSIENT_CODES or (code == 429 and not quota_exceeded),
        affects_all_calls=code in {401, 403},
        quota_exceeded=quota_exceeded,
    )


def refusal(error: ProviderError) -> tuple[int, Any] | None:
    """Return the status and the answer of a refusal; None without a response."""
    if not isinstance(error, GoogleError) or not error.code:
        return None
    return error.code, {"error": {"code": error.code, "message": error.text}}


def response_message(response: Any) -> str:
    """Return the message of a refusal of a REST API."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(response.reason)


def connection_error(
    operation: str, classes: Sequence[str], message: str, *, retryable: bool
) -> GoogleError:
    """Return the error for a call without a response.

    Args:
        operation: The operation that was called.
        classes: The names of the error's class and its base classes, nearest first.
        message: The error's message.
        retryable: Whether the error itself is marked as retryable.
    """
    name = next((name for name in classes if name in _CLIENT_ERRORS), "")
    is_transient, meaning = _CLIENT_ERRORS.get(name, (False, ""))
    if name == "RefreshError" and "impersonate" in message:
        meaning = (
            "cannot impersonate the service account of providers.vertex.impersonate; your account "
            "needs the role Service Account Token Creator on it"
        )
    if name == "ConnectionError" and "aborted" in message:
        meaning = "the connection ended before the response"
    elif meaning.startswith("no connection") and (host := _HOST.search(message)):
        meaning = f"cannot reach {host[1]}: {meaning}"
    retryable = retryable or is_transient
    text = f"{operation}: {meaning} [{message}]" if meaning else f"{operation}: {message}"
    return GoogleError(text, retryable=retryable, affects_all_calls=bool(name) and not retryable)


def _advice(code: int, message: str, *, quota_exceeded: bool) -> str:
    lower = message.lower()
    if quota_exceeded:
        return (
            "request a higher quota under IAM & Admin, Quotas, for Vertex AI in this location, or "
            "use fewer or other machines"
        )
    if code == 401:
        return f"{_SIGN_IN}, then `cloudtune resume`"
    if code == 403:
        return _denied_advice(message, lower)
    if code == 404 and "bucket" in lower:
        return "create it in the location of the job, or set providers.vertex.bucket to another one"
    return ""


def _denied_advice(message: str, lower: str) -> str:
    if "has not been used in project" in lower or "is disabled" in lower:
        return "run `gcloud services enable aiplatform.googleapis.com storage.googleapis.com`"
    if "quota project" in lower:
        return "run `gcloud auth application-default set-quota-project PROJECT`"
    if "billing" in lower:
        return "the project needs a billing account"
    if "act as" in lower or "actas" in lower:
        return (
            "your account needs the role Service Account User on the account under "
            "providers.vertex.service_account"
        )
    match = _PERMISSION.search(message)
    if not match:
        return ""
    roles = {"aiplatform": "Vertex AI User", "storage": "Storage Object User on the bucket"}
    role = roles.get(match[0].partition(".")[0])
    advice = f"your account needs the permission {match[0]}"
    return f"{advice}, for example by the role {role}" if role else advice
