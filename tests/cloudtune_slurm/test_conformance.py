"""The tests that every provider passes, on the emulator."""

from __future__ import annotations

import pytest

from cloudtune.testing import ProviderContract
from cloudtune_slurm import SlurmProvider


@pytest.mark.slow
class TestSlurm(ProviderContract):
    name = "slurm"
    emulated = True

    def create_provider(self) -> SlurmProvider:
        return SlurmProvider()
