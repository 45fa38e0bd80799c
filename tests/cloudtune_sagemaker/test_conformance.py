from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.protocols import Provider
from cloudtune.testing import ProviderContract
from cloudtune_sagemaker import SagemakerProvider

_: Provider[Any] = SagemakerProvider()


@pytest.mark.slow
class TestSagemaker(ProviderContract):
    """Both modes, on the emulator, which really runs the trials."""

    name = "sagemaker"
    emulated = True

    def make(self) -> Provider[Any]:
        return SagemakerProvider()
