"""Durations and times in the format of the REST API."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_duration(duration: str | None, default: float) -> float:
    """Return the seconds of a duration such as ``3600s``."""
    return default if duration is None else float(duration.removesuffix("s"))


def parse_time(text: str) -> float:
    """Return the seconds since the epoch of a time such as ``2026-11-25T10:00:00Z``.

    Raises:
        ValueError: If it is not a time, or lacks the offset from UTC that RFC 3339 requires.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    return time.timestamp()


def format_time(seconds: float) -> str:
    """Return a time in the service's format."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
