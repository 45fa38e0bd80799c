from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.base import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_azure import AzureProvider


@pytest.mark.slow
class TestAzure(ProviderContract):
    """On the emulator, which really runs the trials."""

    name = "azure"
    emulated = True

    def create_provider(self) -> BaseProvider[Any]:
        return AzureProvider()
