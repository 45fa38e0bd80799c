"""Calls whose lack of a right is a result, not a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeVar

from cloudtune import provider
from cloudtune.provider import Check, ProviderError, account_unknown
from cloudtune_sagemaker.errors import AwsError

T = TypeVar("T")

_BECAUSE = re.compile(r"because (this emulator .*)$")


def unknown(id_: str, question: str, right: str, *, path: str = "", look: str = "") -> Check:
    """Return the result of a check that lacks a right.

    Args:
        id_: The id of the check.
        question: What remains unknown, as in "whether the role exists".
        right: The right that is missing.
        path: The field of the study that it is about.
        look: Where else to look.
    """
    fix = f"your user or role lacks {right}"
    return account_unknown(
        id=id_,
        path=path,
        message=f"{question} is unknown",
        fix=f"{fix}; {look}" if look else fix,
    )


def ask(call: Callable[[], T], otherwise: Check) -> Generator[Check, None, T | None]:
    """Return the result of a call; without the right to it, yield another one and return None.

    Raises:
        AwsError: If the call fails for any other reason.
    """
    return (yield from provider.ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    if not isinstance(error, AwsError) or not error.denied:
        return None
    reason = _BECAUSE.search(error.service_message)
    return reason[1] if reason else ""
