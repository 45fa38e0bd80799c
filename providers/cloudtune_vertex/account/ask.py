"""Calls whose lack of a permission is a result, not a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeVar

from cloudtune import provider
from cloudtune.provider import Check, ProviderError, account_unknown
from cloudtune_vertex.errors import GoogleError

T = TypeVar("T")

_EMULATOR = re.compile(r"since (this emulator .*?)' denied")


def unknown(id_: str, question: str, right: str, *, path: str = "", look: str = "") -> Check:
    """Return the result of a check that lacks a permission.

    Args:
        id_: The id of the check.
        question: What remains unknown, as in "whether the bucket exists".
        right: The permission that is missing.
        path: The field of the study that it is about.
        look: Where else to look.
    """
    fix = f"your account lacks {right}"
    return account_unknown(
        id=id_,
        path=path,
        message=f"{question} is unknown",
        fix=f"{fix}; {look}" if look else fix,
    )


def ask(call: Callable[[], T], otherwise: Check) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the permission, yield another one and return None.

    Raises:
        GoogleError: If the call fails for any other reason.
    """
    return (yield from provider.ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    if not isinstance(error, GoogleError) or error.code != 403:
        return None
    if match := _EMULATOR.search(error.service_message):
        return match[1]
    text = error.service_message
    if "has not been used in project" in text or "is disabled" in text:
        return f"an API that this needs is disabled: {text}"
    return ""
