"""Reads numbers of seconds."""

from __future__ import annotations

from cloudtune.formats import Fields
from cloudtune.provider import format_duration


def read_seconds(fields: Fields, key: str) -> str | None:
    """Take a number of seconds as the duration of a study; None if it is absent or 0."""
    seconds = fields.integer(key)
    if seconds is not None and seconds < 0:
        fields.mistake(key, "must not be negative")
        return None
    return format_duration(seconds) if seconds else None
