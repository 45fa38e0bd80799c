from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider.protocols import Provider
from cloudtune.testing import ProviderContract
from cloudtune_vertex import VertexProvider

_: Provider[Any] = VertexProvider()


@pytest.mark.slow
class TestVertex(ProviderContract):
    """Both modes, on the emulator, which really runs the trials."""

    name = "vertex"
    emulated = True

    def make(self) -> Provider[Any]:
        return VertexProvider()
