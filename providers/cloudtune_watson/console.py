"""Where the logs of trials are."""

from __future__ import annotations

from cloudtune.provider import JobContext


def log_path(context: JobContext, path: str | None) -> str | None:
    """Return the path of a trial's log on the cluster's volume, or of the emulator's file.

    Args:
        context: The folder and the emulator of the job.
        path: The log's path on the volume, if known.
    """
    if context.emulator is None or path is None:
        return path
    file = context.emulator_folder / "volume" / path
    return str(file) if file.is_file() else None
