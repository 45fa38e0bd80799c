"""Starts a container by its ContainerEntrypoint and ContainerArguments, without the toolkit.

Version 3 of the sagemaker SDK starts scripts this way: ``ModelTrainer`` uploads its drivers as the
channel ``sm_drivers`` and the code as the channel ``code``, and the entry point is a shell script
among the drivers (sagemaker-train 1.27.0, templates.py and container_drivers). They name files as
``/opt/ml/...``, so those paths are replaced in the command and in the drivers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudtune_sagemaker.contract.toolkit import ToolkitFailure

DRIVERS = "sm_drivers"
"""The channel with the drivers of ``ModelTrainer``."""
_PLAIN = re.compile(r"[A-Za-z0-9_./+@-]+")


def entrypoint_of(algorithm: dict[str, Any]) -> list[str] | None:
    """Return the command of an AlgorithmSpecification; None if the image has its own."""
    words: list[str] = algorithm.get("ContainerEntrypoint") or []
    return [*words, *(algorithm.get("ContainerArguments") or [])] if words else None


def relocate(command: Sequence[str], base: Path, drivers: Path) -> list[str]:
    """Return a command with ``/opt/ml`` at another place, and change the drivers likewise.

    Raises:
        ToolkitFailure: If the place has a character that means something to a shell.
        OSError: If a driver cannot be read or written.
    """
    place = str(base)
    if not _PLAIN.fullmatch(place):
        raise ToolkitFailure(
            f"the emulator cannot run a ContainerEntrypoint below {place}: use a folder for the "
            "emulator whose path has only letters, digits and the characters _ . / + @ -"
        )
    for path in drivers.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if b"/opt/ml" in content:
                path.write_bytes(content.replace(b"/opt/ml", place.encode()))
    return [relocated(word, base) for word in command]


def relocated(text: str, base: Path) -> str:
    """Return a text with ``/opt/ml`` at another place."""
    return text.replace("/opt/ml", str(base))
