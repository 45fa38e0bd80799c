"""Errors of calls to Azure: whether they are transient, and what to do about them.

The forms are those of recorded traffic (tests/recordings/azure): JSON with nested codes from
Azure Machine Learning, XML and a header from the blob service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cloudtune.provider import HttpError, Json, is_list, is_map

PROVIDER = "azure"
_TRANSIENT = frozenset([408, 425, 429, 500, 502, 503, 504])
_MAX_MESSAGE = 1_000
_SIGN_IN = "sign in with `az login`, or set the variables of azure-identity's credentials"


class AzureError(HttpError):
    """Azure refused a call or could not be reached."""

    service = PROVIDER


def service_error(operation: str, status: int, body: str, header: str = "") -> AzureError:
    """Return the error for an error response.

    Args:
        operation: The method and the path that were called.
        status: The HTTP status.
        body: The body of the response.
        header: The code in the header ``x-ms-error-code`` of the blob service.
    """
    text, code = _read(body)
    message = f"{operation}: {text or header or 'refused'} [{status} {header or code}]"
    if status == 401:
        message += f" ({_SIGN_IN})"
    elif status == 403:
        message += " (your account lacks a role that this call needs; see docs/azure.md)"
    return AzureError(
        message.replace(" ]", "]"),
        code=status,
        text=text,
        retryable=status in _TRANSIENT,
        # The words of a refusal for want of quota are not verified.
        quota_exceeded=status in {400, 409} and "quota" in f"{text} {code}".lower(),
        affects_all_calls=status in {401, 403},
    )


def credential_error(error: BaseException) -> AzureError:
    """Return the error for a caller without valid credentials."""
    reason = str(error).strip().partition("\n")[0][:_MAX_MESSAGE]
    return AzureError(f"no credentials: {_SIGN_IN} [{reason}]", affects_all_calls=True)


def connection_error(operation: str, error: BaseException) -> AzureError:
    """Return the error for a call without a response."""
    reason = str(error).strip().partition("\n")[0][:_MAX_MESSAGE]
    return AzureError(f"{operation}: cannot reach Azure [{reason}]", retryable=True)


def _read(body: str) -> tuple[str, str]:
    """Return the message of an error and its most specific code."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        message = re.search(r"<Message>(.*?)(?:\n|</Message>)", body, re.DOTALL)
        code = re.search(r"<Code>(\w+)</Code>", body)
        return (message[1].strip() if message else body.strip()[:_MAX_MESSAGE]), (
            code[1] if code else ""
        )
    error: Any = document.get("error") if is_map(document) else None
    if not is_map(error):
        message = document.get("message") if is_map(document) else None
        return str(message or body)[:_MAX_MESSAGE], ""
    codes = [str(error.get("code") or ""), *_inner_codes(error)]
    details: Any = error.get("details")
    messages = [error, *(each for each in (details if is_list(details) else ()) if is_map(each))]
    text = next((str(each["message"]) for each in messages if each.get("message")), "")
    return text[:_MAX_MESSAGE], codes[-1]


def _inner_codes(error: Json) -> Iterator[str]:
    infos: Any = error.get("additionalInfo")
    for info in infos if is_list(infos) else ():
        if not is_map(info) or info.get("type") != "InnerError":
            continue
        wrapper: Any = info.get("info")
        inner: Any = wrapper.get("value") if is_map(wrapper) else None
        while is_map(inner):
            yield str(inner.get("code") or "")
            inner = inner.get("innerError")
