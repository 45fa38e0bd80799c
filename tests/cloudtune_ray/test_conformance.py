from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.base import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_ray import RayProvider


@pytest.mark.slow
class TestRay(ProviderContract):
    """On the emulator, which really runs the trials."""

    name = "ray"
    emulated = True

    def create_provider(self) -> BaseProvider[Any]:
        return RayProvider()
