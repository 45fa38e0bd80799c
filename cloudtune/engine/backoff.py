"""How long to wait between two questions to a service."""

from __future__ import annotations

import random
import time

MAX_BACKOFF = 300.0
"""Seconds between two tries while a service cannot be reached."""
_JOBS_AT_FULL_RATE = 100
"""Running jobs up to which a look at all of them comes as often as it can."""
_JITTER = 0.1


def add_jitter(seconds: float) -> float:
    """Return about as long, by chance, so that what began together does not ask together."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nothing secret


def poll_interval(seconds: float, jobs: int) -> float:
    """Return how long to wait between two looks at some jobs.

    A look may take a call a job. With many jobs looks come less often, so that the number of calls
    a minute has a bound.

    Args:
        seconds: Between two looks at few jobs.
        jobs: How many run.
    """
    return seconds * max(1.0, jobs / _JOBS_AT_FULL_RATE)


def next_poll_time(seconds: float, jobs: int) -> float:
    """Return when to look at some jobs again, by the clock of `time.monotonic`."""
    return time.monotonic() + add_jitter(poll_interval(seconds, jobs))


def next_backoff(seconds: float, last: float) -> float:
    """Return how long to wait after a failure, longer each time in a row up to a bound.

    Args:
        seconds: Between two looks when all is well.
        last: The pause before this one; 0 if there was none.
    """
    return max(seconds, min(2 * last, MAX_BACKOFF))
