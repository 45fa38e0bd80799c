from __future__ import annotations

from typing import Any

from cloudtune.provider.protocols import Provider
from cloudtune.testing import ProviderContract
from cloudtune_local import LocalProvider

_: Provider[Any] = LocalProvider()


class TestLocalProvider(ProviderContract):
    name = "local"

    def make(self) -> Provider[Any]:
        return LocalProvider()
