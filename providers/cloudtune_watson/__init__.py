"""The IBM Watson provider: WML Accelerator's own search, or one WML training a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune_watson.provider import WatsonProvider

__all__ = ["WatsonProvider"]


def __getattr__(name: str) -> Any:
    """Return the provider, which the emulator does not load."""
    if name != "WatsonProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cloudtune_watson.provider import WatsonProvider

    return WatsonProvider
