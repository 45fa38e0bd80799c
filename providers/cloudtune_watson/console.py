"""The logs of trials: where they are, and what they contain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloudtune.provider import JobContext
from cloudtune_watson.errors import WatsonError

if TYPE_CHECKING:
    from cloudtune_watson.wml.client import WmlClient


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


def read_training_log(wml: WmlClient, path: str) -> Iterator[str]:
    """Return the lines of the log of a training.

    Raises:
        WatsonError: If it does not exist, or the cluster refuses.
    """
    content = wml.read(path)
    if content is None:
        raise WatsonError(f"the cluster has no log {path} yet")
    return iter(content.decode("utf-8", "replace").splitlines())
