from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.base import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_sagemaker import SagemakerProvider


@pytest.mark.slow
class TestSagemaker(ProviderContract):
    """Both modes, on the emulator, which really runs the trials."""

    name = "sagemaker"
    emulated = True

    def create_provider(self) -> BaseProvider[Any]:
        return SagemakerProvider()
