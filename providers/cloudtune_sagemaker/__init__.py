"""The SageMaker provider: managed tuning jobs, or one training job a trial, and an emulator."""

from cloudtune_sagemaker.provider import SagemakerProvider

__all__ = ["SagemakerProvider"]
