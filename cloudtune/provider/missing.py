"""Calls about something that may not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cloudtune.errors import HttpError

T = TypeVar("T")


def if_found(call: Callable[[], T]) -> T | None:
    """Return the result of a call; None if the service says that what it is about does not exist.

    Raises:
        HttpError: If the call fails for any other reason.
    """
    try:
        return call()
    except HttpError as error:
        if not error.not_found:
            raise
        return None
