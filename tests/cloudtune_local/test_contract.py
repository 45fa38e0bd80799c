from __future__ import annotations

from cloudtune.provider.protocols import Provider
from cloudtune.testing import ProviderContract
from cloudtune_local import LocalProvider

_: Provider = LocalProvider()


class TestLocalProvider(ProviderContract):
    name = "local"

    def make(self) -> Provider:
        return LocalProvider()
