"""A cloudtune provider for Example Batch."""

from cloudtune_example.provider import ExampleProvider

__all__ = ["ExampleProvider"]
