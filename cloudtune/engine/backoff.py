"""Intervals between two polls of a service, and between two retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from cloudtune.errors import ProviderError

MAX_BACKOFF = 300.0
"""The longest wait, in seconds, between two retries while a service is unreachable."""
MAX_OUTAGE = 600.0
"""Seconds for which running jobs wait out an error that is not transient, as an expired sign-in."""
FIRST_CONTACT_SECONDS = 120.0
"""Seconds for which a service is retried that has not responded yet, so no job depends on it."""
_JOBS_AT_FULL_RATE = 100
"""Running jobs up to which they are polled at the full rate."""
_JITTER = 0.1


def add_jitter(seconds: float) -> float:
    """Return a duration up to 10 % shorter or longer, so that jobs do not poll in lockstep."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - not for secrets


def poll_interval(seconds: float, jobs: int) -> float:
    """Return the seconds between two polls.

    ``seconds`` is the interval for few jobs. A poll can take one call for each job. Beyond 100
    jobs the interval grows in proportion, which bounds the number of calls a minute.
    """
    return seconds * max(1.0, jobs / _JOBS_AT_FULL_RATE)


def next_poll_time(seconds: float, jobs: int) -> float:
    """Return the time of the next poll, by `time.monotonic`; the arguments of `poll_interval`."""
    return time.monotonic() + add_jitter(poll_interval(seconds, jobs))


def next_backoff(seconds: float, last: float) -> float:
    """Return the seconds to wait after a failure: twice the last wait, up to `MAX_BACKOFF`.

    ``last`` is 0 at first. The shortest wait is the regular interval, ``seconds``.
    """
    return max(seconds, min(2 * last, MAX_BACKOFF))


@dataclass
class Outage:
    """Calls of one kind that fail, until one succeeds. Times are those of `time.monotonic`."""

    until: float = 0.0
    """When the next call is due."""
    error: ProviderError | None = None
    """Why the last call failed, until one succeeds."""
    _since: float | None = None
    _backoff: float = 0.0
    _text: str = ""

    def fail(self, error: ProviderError) -> float:
        """Record that a call failed. Return for how many seconds calls have failed."""
        now = time.monotonic()
        self.error, self._since = error, self._since or now
        return now - self._since

    def is_news(self, text: str) -> bool:
        """Return whether a message is not the last one of calls of this kind."""
        is_news, self._text = text != self._text, text
        return is_news

    def back_off(self, seconds: float, longest: float) -> float:
        """Set when the next call is due: later after each failure. Return the seconds until then.

        Args:
            seconds: The shortest wait.
            longest: The longest one.
        """
        self._backoff = next_backoff(seconds, self._backoff)
        wait = min(add_jitter(self._backoff), longest)
        self.until = time.monotonic() + wait
        return wait

    def end(self) -> None:
        """Record that a call succeeded."""
        self._since, self._backoff, self.error = None, 0.0, None


def first_contact_failure(error: Exception) -> str:
    """Return the reason why a run ends whose service has never responded."""
    return f"{error}; gave up, since no call succeeded in {FIRST_CONTACT_SECONDS / 60:.0f} min"


def without_repeats(notify: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that passes on a message unless it is empty or like the last one."""
    last = ""

    def notify_new(text: str) -> None:
        nonlocal last
        if text and text != last:
            last = text
            notify(text)

    return notify_new
