"""The Slurm provider: one batch job for each start of a trial, on the user's own cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune_slurm.provider import SlurmProvider

__all__ = ["SlurmProvider"]


def __getattr__(name: str) -> Any:
    """Return the provider, which the commands of the emulator do not load."""
    if name != "SlurmProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cloudtune_slurm.provider import SlurmProvider

    return SlurmProvider
