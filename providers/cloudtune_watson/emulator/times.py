"""Times as the two services spell them."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(when: float) -> str:
    """Return a time as Cloud Pak for Data spells it."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def clock(when: float) -> str:
    """Return a time as a search tells it (HPO notebooks of IBM/wmla-assets)."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return a length of time as a search tells it: ``00:02:55``."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{left:02}"
