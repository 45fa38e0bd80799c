"""Where people find what a trial has printed."""

from __future__ import annotations

from cloudtune.provider import EMULATOR_FOLDER, JobContext


def log_of(context: JobContext, path: str | None) -> str | None:
    """Return where a trial's log is: on the cluster's volume, or the emulator's file of it.

    Args:
        context: The folder and the emulator of the job.
        path: The log's path on the volume, where that is known.
    """
    if context.emulator is None or path is None:
        return path
    file = context.folder / EMULATOR_FOLDER / "volume" / path
    return str(file) if file.is_file() else None
