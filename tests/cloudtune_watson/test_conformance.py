from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.base import BaseProvider
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune.testing import ProviderContract
from cloudtune_watson import WatsonProvider

BACKENDS: Mapping[Mode, str] = {"managed": "wmla", "driven": "wml"}


@pytest.mark.slow
class TestWatson(ProviderContract):
    """Both back ends, each with its mode, on the emulator, which really runs the trials."""

    name = "watson"
    emulated = True

    def create_provider(self) -> BaseProvider[Any]:
        return WatsonProvider()

    backends: Mapping[Mode, str] = BACKENDS

    def study(self, blocks: Mapping[str, Any], mode: Mode, folder: Path) -> Study:
        self.settings = {"backend": self.backends[mode]}
        return super().study(blocks, mode, folder)


@pytest.mark.slow
class TestDeploymentJobs(TestWatson):
    """Deployment jobs in the driven mode."""

    backends: Mapping[Mode, str] = {**BACKENDS, "driven": "jobs"}
