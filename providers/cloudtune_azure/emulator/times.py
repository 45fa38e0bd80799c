"""Times as Azure writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Return a time with seven decimals."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00"


def now() -> str:
    """Return the current time."""
    return iso(time.time())


def plain(seconds: float) -> str:
    """Return a time as the properties of a job have it since 2025, without a zone."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def http_date(seconds: float) -> str:
    """Return a time as a header has it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%a, %d %b %Y %H:%M:%S} GMT"
