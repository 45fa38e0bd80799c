"""Where people find what a trial has printed."""

from __future__ import annotations

from cloudtune.jobs import EMULATOR
from cloudtune.provider import Place


def log_of(place: Place, folder: str, id_: str) -> str | None:
    """Return the file of a trial's log on the emulator, if there is one; IBM has no page of it.

    Args:
        place: Where the run's job is at home.
        folder: Where the emulator keeps such trials.
        id_: What it calls this one.
    """
    if place.emulator is None:
        return None
    file = place.folder / EMULATOR / folder / id_ / "log.txt"
    return str(file) if file.is_file() else None
