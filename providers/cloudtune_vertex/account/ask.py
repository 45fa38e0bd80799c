"""Calls whose lack of a permission is a result, not a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

from cloudtune.provider import Check, ProviderError, account
from cloudtune_vertex.errors import GoogleError

T = TypeVar("T")

_EMULATOR = re.compile(r"since (this emulator .*?)' denied")
unknown = partial(account.right_missing, caller="your account")
"""The result of a check that lacks a right."""


def ask(call: Callable[[], T], otherwise: Check) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the permission, yield another one and return None.

    Raises:
        GoogleError: If the call fails for any other reason.
    """
    return (yield from account.ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    if not isinstance(error, GoogleError) or error.code != 403:
        return None
    if match := _EMULATOR.search(error.text):
        return match[1]
    text = error.text
    if "has not been used in project" in text or "is disabled" in text:
        return f"an API that this needs is disabled: {text}"
    return ""
