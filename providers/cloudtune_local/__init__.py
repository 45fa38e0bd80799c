"""The local provider: runs the trials of a study as processes on this machine."""

from cloudtune_local.provider import LocalProvider

__all__ = ["LocalProvider"]
