from __future__ import annotations

import pytest

from cloudtune.provider.protocols import Provider
from cloudtune.testing import ProviderContract
from cloudtune_sagemaker import SagemakerProvider

_: Provider = SagemakerProvider()


@pytest.mark.slow
class TestSagemaker(ProviderContract):
    """Both modes, on the emulator, which really runs the trials."""

    name = "sagemaker"
    emulated = True

    def make(self) -> Provider:
        return SagemakerProvider()
