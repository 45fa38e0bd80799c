"""Intervals between two polls of a service, and between two retries."""

from __future__ import annotations

import random
import time

MAX_BACKOFF = 300.0
"""The longest wait, in seconds, between two retries while a service is unreachable."""
_JOBS_AT_FULL_RATE = 100
"""Running jobs up to which they are polled at the full rate."""
_JITTER = 0.1


def add_jitter(seconds: float) -> float:
    """Return a duration up to 10 % shorter or longer, so that jobs do not poll in lockstep."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - not for secrets


def poll_interval(seconds: float, jobs: int) -> float:
    """Return how many seconds to wait between two polls of some jobs.

    A poll can take one call for each job. Beyond 100 jobs the interval grows in proportion, which
    bounds the number of calls a minute.

    Args:
        seconds: The interval for few jobs.
        jobs: The number of running jobs.
    """
    return seconds * max(1.0, jobs / _JOBS_AT_FULL_RATE)


def next_poll_time(seconds: float, jobs: int) -> float:
    """Return the time of the next poll, by `time.monotonic`; the arguments of `poll_interval`."""
    return time.monotonic() + add_jitter(poll_interval(seconds, jobs))


def next_backoff(seconds: float, last: float) -> float:
    """Return how many seconds to wait after a failure: twice the last wait, up to `MAX_BACKOFF`.

    Args:
        seconds: The regular interval, which is the shortest wait.
        last: The wait before this one; 0 after the first failure.
    """
    return max(seconds, min(2 * last, MAX_BACKOFF))
