"""Times as Azure writes them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


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


def duration_seconds(text: str | None) -> float | None:
    """Return the seconds of a duration in ISO 8601, such as ``PT1H5M``; None without one.

    Raises:
        ValueError: If the text is no duration.
    """
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError(f"{text!r} is no duration")
    return sum(
        float(n or 0) * unit for n, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True)
    )
