"""Durations and times as the REST API spells them."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_of(duration: str | None, otherwise: float) -> float:
    """Return the seconds of a duration such as ``3600s``; ``otherwise`` where there is none."""
    return otherwise if duration is None else float(duration.removesuffix("s"))


def instant(text: str) -> float:
    """Return the seconds since the epoch of a time such as ``2026-11-25T10:00:00Z``.

    Raises:
        ValueError: If it is no time, or does not say how far it is from UTC, as RFC 3339 demands.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text} does not say how far it is from UTC")
    return when.timestamp()


def spelled(when: float) -> str:
    """Return a time as the service spells it."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
