"""Pauses between the attempts of one call, which a request to stop ends at once.

The libraries of services wait in their own retries until the pause is over, which can take long
after Ctrl-C. Clients therefore retry with these pauses instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from cloudtune.common.debug_log import get_logger

_log = get_logger(__name__)

RETRY_SECONDS = 60.0
"""How long a call is retried. The run then waits, and calls again at growing intervals."""
SHORT_RETRY_SECONDS = 5.0
"""The same for calls to an emulator, and for calls that begin after a request to stop."""
_CHECK_SECONDS = 0.2
"""The longest time until an interruption is noticed."""


def retry_pauses(is_stopping: Callable[[], bool], *, emulated: bool = False) -> Iterator[bool]:
    """Return an iterator that waits before each further attempt of a call, and then yields True.

    Each pause is longer than the one before. The iterator ends when the call has been retried for
    `RETRY_SECONDS`, or at once when there is a request to stop. A call that begins after that
    request is retried for `SHORT_RETRY_SECONDS`.

    Args:
        is_stopping: Returns whether there has been a request to stop.
        emulated: Whether the service is an emulator.

    Example:
        >>> pauses = retry_pauses(bool, emulated=True)
        >>> next(pauses, False)
        True
    """
    is_last = is_stopping()
    return _pauses(
        SHORT_RETRY_SECONDS if emulated or is_last else RETRY_SECONDS,
        (lambda: False) if is_last else is_stopping,
    )


def pause(seconds: float, is_interrupted: Callable[[], bool]) -> bool:
    """Wait for some seconds and return True; return False as soon as there is an interruption."""
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        if is_interrupted():
            return False
        time.sleep(min(rest, _CHECK_SECONDS))
    return True


def _pauses(seconds: float, is_interrupted: Callable[[], bool]) -> Iterator[bool]:
    due, next_pause = time.monotonic() + seconds, seconds / 60
    while time.monotonic() + next_pause <= due:
        _log.debug("wait %.1f s before the next attempt", next_pause)
        if not pause(next_pause, is_interrupted):
            return
        yield True
        next_pause = min(2 * next_pause, seconds / 6)
