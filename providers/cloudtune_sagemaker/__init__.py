"""The SageMaker provider: managed tuning jobs, or one training job a trial, and an emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune_sagemaker.provider import SagemakerProvider

__all__ = ["SagemakerProvider"]


def __getattr__(name: str) -> Any:
    """Return the provider, which the emulator does not load."""
    if name != "SagemakerProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cloudtune_sagemaker.provider import SagemakerProvider

    return SagemakerProvider
