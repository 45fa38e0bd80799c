"""The local provider: runs a study's trials as processes on this machine."""

from cloudtune_local.provider import LocalProvider

__all__ = ["LocalProvider"]
