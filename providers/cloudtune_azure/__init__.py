"""The Azure provider: one command job of Azure Machine Learning per trial."""

from cloudtune_azure.provider import AzureProvider

__all__ = ["AzureProvider"]
