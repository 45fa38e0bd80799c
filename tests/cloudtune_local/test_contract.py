from __future__ import annotations

from typing import Any

from cloudtune.provider.base import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_local import LocalProvider


class TestLocalProvider(ProviderContract):
    name = "local"

    def create_provider(self) -> BaseProvider[Any]:
        return LocalProvider()
