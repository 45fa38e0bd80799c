from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.base import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_vertex import VertexProvider


@pytest.mark.slow
class TestVertex(ProviderContract):
    """Both modes, on the emulator, which really runs the trials."""

    name = "vertex"
    emulated = True

    def create_provider(self) -> BaseProvider[Any]:
        return VertexProvider()
