"""What a failed call to IBM means: whether it may pass, and what to do about it, in plain words.

A cluster says ``{"errors": [{"code": ..., "message": ...}], "trace": ...}``, WML Accelerator
sometimes only text. Their texts differ from version to version, so the HTTP code alone counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from cloudtune.provider import Json, ProviderError

PROVIDER = "watson"

_PASSING = frozenset([408, 425, 429, 500, 502, 503, 504, 520, 521, 524])
_LONGEST = 1_000

_UNTRUSTED = (
    "its certificate is not trusted here; let providers.watson.certificate name a file with the "
    "one that signed it: OpenShift keeps it in the config map default-ingress-cert of "
    "openshift-config-managed"
)
_NETWORK = "it cannot be reached; is providers.watson.url right, and the network there?"

_LOCAL: Mapping[str, tuple[bool, str]] = {
    "SSLError": (False, _UNTRUSTED),
    "ProxyError": (True, "the proxy cannot be reached"),
    "Timeout": (True, "it did not answer in time"),
    "ChunkedEncodingError": (True, "the connection ended within the answer"),
    "ConnectionError": (True, _NETWORK),
    "InvalidURL": (False, "providers.watson.url is no address"),
    "OSError": (False, "the certificate file under providers.watson.certificate cannot be used"),
    "RequestException": (True, "the connection failed"),
}
"""What ``requests`` raises, by the name of the error: whether it may pass, and what it means."""


class WatsonError(ProviderError):
    """A cluster refused a call or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        retryable: bool = False,
        affects_all_calls: bool = False,
    ) -> None:
        self.code = code
        """That of the HTTP answer; 0 where there was none."""
        super().__init__(
            PROVIDER, message, retryable=retryable, affects_all_calls=affects_all_calls
        )

    @property
    def not_found(self) -> bool:
        """Whether what was named is not there."""
        return self.code == 404

    @property
    def signed_out(self) -> bool:
        """Whether the sign-in is not valid, or not any more."""
        return self.code == 401


def refusal(operation: str, code: int, body: str) -> WatsonError:
    """Return the error for an answer that is one.

    Args:
        operation: What was called.
        code: Of the HTTP answer.
        body: Of the answer.
    """
    words = f"{operation}: {said(body) or 'refused'} [{code}]"
    if advice := _advice(operation, code):
        words += f" ({advice})"
    return WatsonError(
        words, code=code, retryable=code in _PASSING, affects_all_calls=code in {401, 403}
    )


def not_reached(operation: str, error: BaseException) -> WatsonError:
    """Return the error for a call that was not answered."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    kind = next((each for each in kinds if each in _LOCAL), "")
    retryable, meaning = _LOCAL.get(kind, (False, ""))
    words = f"{operation}: {meaning} [{str(error)[:_LONGEST]}]"
    return WatsonError(words, retryable=retryable, affects_all_calls=not retryable)


def said(body: str) -> str:
    """Return the messages in an answer; of what is no JSON, the text without its markup."""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return re.sub(r"<[^>]*>|\s+", " ", body).strip()[:_LONGEST]
    if not isinstance(answer, dict):
        return str(answer)[:_LONGEST]
    told = cast("Json", answer)
    errors: list[Any] = told["errors"] if isinstance(told.get("errors"), list) else [told]
    found = [_message(cast("Json", one)) for one in errors if isinstance(one, dict)]
    return "; ".join(each for each in found if each)[:_LONGEST] or body[:_LONGEST]


def _message(error: Json) -> str:
    return str(error.get("message") or error.get("error") or error.get("exception") or "")


def _advice(operation: str, code: int) -> str:
    if code == 401:
        return (
            "is the key in the variable that providers.watson.key_variable names valid, and does "
            "it belong to providers.watson.username?"
        )
    if code == 403:
        return "your user lacks the permission; in a space or project it needs the role Editor"
    if code == 404 and "/v2/spaces/" in operation:
        return "there is no such space for you; see providers.watson.space_id"
    if code == 404 and "/v2/projects/" in operation:
        return "there is no such project for you; see providers.watson.project_id"
    if code == 404 and "deeplearning" in operation:
        return "is there a WML Accelerator at providers.watson.url?"
    return ""
