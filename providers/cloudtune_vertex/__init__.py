"""The Vertex AI provider: managed tuning jobs, or one custom job a trial, and an emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune_vertex.provider import VertexProvider

__all__ = ["VertexProvider"]


def __getattr__(name: str) -> Any:
    """Return the provider, which the emulator does not load."""
    if name != "VertexProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cloudtune_vertex.provider import VertexProvider

    return VertexProvider
