"""The Vertex AI provider: managed tuning jobs, or one custom job a trial, and an emulator."""

from cloudtune_vertex.provider import VertexProvider

__all__ = ["VertexProvider"]
