"""The IBM Watson provider: WML Accelerator's own search, or one WML training a trial."""

from cloudtune_watson.provider import WatsonProvider

__all__ = ["WatsonProvider"]
