"""Calls whose lack of a right is a result, not a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

from cloudtune.provider import Check, ProviderError, account
from cloudtune_sagemaker.errors import AwsError

T = TypeVar("T")

_BECAUSE = re.compile(r"because (this emulator .*)$")
unknown = partial(account.right_missing, caller="your user or role")
"""The result of a check that lacks a right."""


def ask(call: Callable[[], T], otherwise: Check) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the right to it, yield another one and return None.

    Raises:
        AwsError: If the call fails for any other reason.
    """
    return (yield from account.ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    if not isinstance(error, AwsError) or not error.denied:
        return None
    reason = _BECAUSE.search(error.service_message)
    return reason[1] if reason else ""
